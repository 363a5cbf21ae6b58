//! A real NATS server with JetStream.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use sidestream::buffer::{Answer, NatsSettings, NatsSink, Sink};
use sidestream::clock::SystemClock;
use sidestream::testkit::effort;
use sidestream::testkit::require;
use sidestream::{CommandHandler, ErrorKind, EventStore};

use crate::http::delivery;
use crate::nats_server::{GET_IT, NatsServer, STREAM};
use crate::support::*;

/// `SIDESTREAM_REQUIRE` calls it by the name of its program.
fn is_there() -> bool {
    require::program("nats-server", GET_IT)
}

fn to(stream: &str) -> NatsSettings {
    NatsSettings {
        stream: stream.to_owned(),
        prefix: "bank.".to_owned(),
        timeout_ms: 2_000,
        ..NatsSettings::default()
    }
}

#[tokio::test]
async fn a_message_is_stored_once_however_often_it_is_sent() {
    if !is_there() {
        return;
    }
    let server = NatsServer::start().await.unwrap();
    let sink = NatsSink::connect(&server.url(), to(STREAM)).await.unwrap();
    let delivery = delivery(&["hello"]).await;
    for _ in 0..3 {
        assert_eq!(sink.send(&delivery).await, Answer::Taken);
    }
    assert_eq!(server.stored().await.unwrap(), [delivery.cloud_event().unwrap()]);
    let context = jetstream::new(server.client().await);
    let stored = context.get_stream(STREAM).await.unwrap().get_raw_message(1).await.unwrap();
    assert_eq!(stored.subject.as_str(), "bank.told");
    assert_eq!(stored.headers.get("Nats-Msg-Id").unwrap().as_str(), delivery.message.id.to_string());
    assert_eq!(stored.headers.get("content-type").unwrap().as_str(), "application/cloudevents+json");
}

#[tokio::test]
async fn a_stream_that_is_not_there_or_does_not_fit_is_told_at_the_start() {
    for wrong in ["", "a.b", "a b"] {
        let error = NatsSink::connect("127.0.0.1:1", to(wrong)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    let nobody = NatsSink::connect("127.0.0.1:1", to(STREAM)).await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::Unavailable, "{nobody}");
    if !is_there() {
        return;
    }
    let server = NatsServer::start().await.unwrap();
    let error = NatsSink::connect(&server.url(), to("ABSENT")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("nats stream add ABSENT --subjects='bank.>'"), "{error}");
    let short = stream::Config {
        name: "SHORT".to_owned(),
        subjects: vec!["short.>".to_owned()],
        duplicate_window: Duration::from_secs(1),
        ..stream::Config::default()
    };
    jetstream::new(server.client().await).create_stream(short).await.unwrap();
    let error = NatsSink::connect(&server.url(), to("SHORT")).await.unwrap_err();
    assert!(error.to_string().contains("--dupe-window=120s"), "{error}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_a_server_that_is_down_is_asked_later() {
    if !is_there() {
        return;
    }
    let mut server = NatsServer::start().await.unwrap();
    let small = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["bank.>".to_owned()],
        duplicate_window: Duration::from_secs(600),
        max_message_size: 1_000,
        ..stream::Config::default()
    };
    let context = jetstream::new(server.client().await);
    context.update_stream(small).await.unwrap();
    let sink = NatsSink::connect(&server.url(), to(STREAM)).await.unwrap();
    let large = delivery(&[&"x".repeat(2_000)]).await;
    let Answer::Refused { why } = sink.send(&large).await else { panic!("it was taken") };
    assert!(why.contains("exceeds maximum"), "{why}");
    server.kill();
    let small = delivery(&["x"]).await;
    assert!(matches!(sink.send(&small).await, Answer::Later { .. }));
    server.restart().unwrap();
    drop(server.client().await);
    until("it connects again", async || sink.send(&small).await == Answer::Taken).await;
}

/// Publishers die at any moment, and so does the server: nothing is lost, and each message is there once, in order.
#[tokio::test]
async fn each_message_is_there_once_though_publishers_and_servers_are_killed() {
    if !is_there() {
        return;
    }
    let mut server = NatsServer::start().await.unwrap();
    let store = one_partition(Arc::new(SystemClock));
    let tellers = CommandHandler::new(store.clone(), Teller);
    let (lives, partitions) = (u64::from(effort::cases(20)), store.properties().partitions);
    let (mut number, mut sent) = (0, 0);
    for epoch in 1..=lives {
        for _ in 0..50 {
            tell(&tellers, number, (number % 5) as u8, &[&format!("{number:05}")]).await;
            number += 1;
        }
        let sink = NatsSink::connect(&server.url(), to(STREAM)).await.unwrap();
        let counted = Counted::over(sink);
        let forgetful = sidestream::buffer::DestinationSettings { record_every_ms: 200, ..settings() };
        let runs = Runs::start(&buffer_to(store.clone(), counted.clone(), forgetful), partitions, epoch);
        tokio::time::sleep(Duration::from_millis(epoch * 37 % 90)).await;
        if epoch % 5 == 0 {
            server.kill();
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.restart().unwrap();
        }
        drop(runs);
        drop(server.client().await);
        sent += counted.sent();
    }
    let sink = NatsSink::connect(&server.url(), to(STREAM)).await.unwrap();
    let counted = Counted::over(sink);
    let runs = Runs::start(&buffer_to(store.clone(), counted.clone(), settings()), partitions, lives + 1);
    until("all have come", async || usize::try_from(server.count().await.unwrap()).unwrap() >= number).await;
    runs.stop().await;
    sent += counted.sent();
    let stored = server.stored().await.unwrap();
    assert_eq!(stored.len(), number, "each is there once");
    assert!(sent > number, "{sent} of {number}: nothing was sent twice, so nothing was tried");
    let by_key = came_by_key(stored.iter().map(Vec::as_slice));
    assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), number);
    for (key, came) in by_key {
        assert!(came.is_sorted(), "{key}: {came:?}");
    }
}
