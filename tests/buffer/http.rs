//! The HTTP sink, and a receiver that does everything wrong that there is.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidestream::buffer::{Answer, Delivery, HttpSettings, HttpSink, SigningSecret, Sink};
use sidestream::clock::{ManualClock, Timestamp};
use sidestream::{CommandHandler, ErrorKind, MemoryStore};

use crate::http_server::{Reply, Request, Server};
use crate::support::*;

const ANYWHERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

type Came = Arc<Mutex<Vec<Request>>>;

async fn server(reply: Reply) -> (Server, Came) {
    let came = Came::default();
    let kept = Arc::clone(&came);
    let handle = move |request| {
        kept.lock().unwrap().push(request);
        reply.clone()
    };
    (Server::start(SocketAddr::from(ANYWHERE), handle).await.unwrap(), came)
}

fn url(server: &Server) -> String {
    format!("http://{}/messages?token=canary", server.address)
}

fn hasty() -> HttpSettings {
    HttpSettings { timeout_ms: 300, ..HttpSettings::default() }
}

fn sink(server: &Server) -> HttpSink {
    HttpSink::new(&url(server), hasty()).unwrap()
}

/// A message as a store recorded it.
pub async fn delivery(words: &[&str]) -> Delivery {
    let store = MemoryStore::new();
    let tellers = CommandHandler::new(store.clone(), Teller);
    tell(&tellers, 1, 1, words).await;
    deliveries(&store).await.remove(0)
}

async fn answer(reply: Reply) -> Answer {
    let (server, _) = server(reply).await;
    sink(&server).send(&delivery(&["hello"]).await).await
}

#[tokio::test]
async fn a_message_is_posted_as_a_cloud_event_with_its_id() {
    let (server, came) = server(Reply::status(204)).await;
    let (sink, delivery) = (sink(&server), delivery(&["hello"]).await);
    assert_eq!(sink.send(&delivery).await, Answer::Taken);
    assert_eq!(sink.send(&delivery).await, Answer::Taken);
    let came = came.lock().unwrap();
    for request in &*came {
        assert_eq!(request.method, "POST");
        assert_eq!(request.header("content-type"), "application/cloudevents+json");
        assert_eq!(request.header("idempotency-key"), delivery.message.id.to_string());
        assert_eq!(request.header("webhook-signature"), "", "without a secret there is no signature");
        assert_eq!(request.body, delivery.cloud_event().unwrap());
    }
    assert_eq!(came.len(), 2);
}

#[tokio::test]
async fn a_receiver_that_is_down_or_busy_is_asked_later() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let Answer::Later { after: None, why } = answer(Reply::status(status)).await else {
            panic!("{status}")
        };
        assert!(why.contains(&status.to_string()), "{why}");
    }
    for (value, seconds) in [("7", 7), ("Thu, 01 Jan 1970 00:00:09 GMT", 0)] {
        let busy = Reply::Answer(429, vec![("Retry-After", value.to_owned())], "busy".to_owned());
        let after = Some(Duration::from_secs(seconds));
        assert_eq!(answer(busy).await, Answer::Later { after, why: "HTTP 429: busy".to_owned() });
    }
}

#[tokio::test]
async fn what_is_refused_says_why_and_no_more_than_is_wanted() {
    for status in [400, 401, 404, 409, 410, 413, 422, 301, 302, 307, 304] {
        let reply =
            Reply::Answer(status, vec![("location", "/elsewhere".to_owned())], "no\u{7}pe".to_owned());
        let Answer::Refused { why } = answer(reply).await else { panic!("{status}") };
        assert!(why.starts_with(&format!("HTTP {status}")), "{why}");
        assert!(!why.contains('\u{7}'), "{why:?}");
    }
    let long = Reply::Answer(400, Vec::new(), "x".repeat(1 << 20));
    let Answer::Refused { why } = answer(long).await else { panic!("it was taken") };
    assert_eq!(why.len(), "HTTP 400: ".len() + 200);
}

/// It answered, or it did not: nothing in between is believed.
#[tokio::test]
async fn what_is_cut_or_hangs_is_sent_again() {
    for reply in [Reply::Cut(b""), Reply::Cut(b"HTTP/1.1 2"), Reply::Cut(b"nonsense\r\n\r\n"), Reply::Hang] {
        let answered = answer(reply.clone()).await;
        assert!(matches!(answered, Answer::Later { after: None, .. }), "{reply:?}: {answered:?}");
    }
    // A body that is cut takes nothing back.
    let whole_head = Reply::Cut(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
    assert_eq!(answer(whole_head).await, Answer::Taken);
    let endless = Reply::Answer(200, Vec::new(), "x".repeat(8 << 20));
    assert_eq!(answer(endless).await, Answer::Taken, "what it says besides is not waited for");
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_told_by_the_check_and_by_each_try() {
    let (server, came) = server(Reply::status(404)).await;
    let sink = sink(&server);
    sink.check().await.unwrap();
    assert_eq!(came.lock().unwrap()[0].method, "HEAD", "no message is sent");
    // It speaks no TLS.
    let secure = HttpSink::new(&url(&server).replace("http:", "https:"), hasty()).unwrap();
    assert!(matches!(secure.send(&delivery(&["x"]).await).await, Answer::Later { .. }));
    drop(server);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = sink.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    let Answer::Later { why, .. } = sink.send(&delivery(&["x"]).await).await else { panic!("it was taken") };
    assert!(why.contains("onnect"), "{why}");
    assert!(
        !format!("{why}{error}{sink:?}").contains("canary"),
        "queries hold tokens: {why} {error} {sink:?}"
    );
}

/// Computed anew from the id, the time and the body that came.
#[tokio::test]
async fn a_signature_can_be_checked_and_the_secret_is_shown_nowhere() {
    let (server, came) = server(Reply::status(500)).await;
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_614_265_330_999_999)));
    let secret = "canary-0123456789-0123456789";
    let sink = sink(&server).signed(SigningSecret::new(secret).unwrap()).clock(clock);
    let delivery = delivery(&["hello"]).await;
    let answered = sink.send(&delivery).await;
    let request = came.lock().unwrap()[0].clone();
    assert_eq!(request.header("webhook-id"), delivery.message.id.to_string());
    assert_eq!(request.header("webhook-timestamp"), "1614265330");
    let signed = [format!("{}.1614265330.", delivery.message.id).as_bytes(), &request.body[..]].concat();
    assert_eq!(request.header("webhook-signature"), format!("v1,{}", independent(secret, &signed)));
    let shown = format!("{sink:?} {sink:#?} {answered:?} {request:?}");
    assert!(!shown.contains("canary-0123"), "{shown}");
}

/// HMAC-SHA-256 by its definition (RFC 2104), with another crate's SHA-256.
fn independent(secret: &str, text: &[u8]) -> String {
    use base64::Engine;
    let pad = |byte: u8| -> Vec<u8> {
        let mut block = [byte; 64];
        block.iter_mut().zip(secret.as_bytes()).for_each(|(pad, key)| *pad ^= key);
        block.to_vec()
    };
    let hash = |text: &[u8]| ring::digest::digest(&ring::digest::SHA256, text).as_ref().to_vec();
    let inner = hash(&[pad(0x36), text.to_vec()].concat());
    base64::engine::general_purpose::STANDARD.encode(hash(&[pad(0x5c), inner].concat()))
}

#[test]
fn a_bad_url_or_setting_is_refused_at_once_and_not_repeated() {
    for (bad, why) in [
        ("", "cannot be read"),
        ("ledger.example/messages", "cannot be read"),
        ("ftp://ledger.example/", "another scheme"),
        ("https://", "cannot be read"),
        ("https://user:canary@ledger.example/", "credentials"),
        ("https://canary@ledger.example/", "credentials"),
        ("http://ledger.example/?token=canary", "plain HTTP"),
        ("http://10.0.0.1/", "plain HTTP"),
        ("http://127.0.0.1.example/", "plain HTTP"),
    ] {
        let error = HttpSink::new(bad, HttpSettings::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(why), "{bad}: {error}");
        assert!(!format!("{error:?}{error}").contains("canary"), "{error:?}");
    }
    for good in ["https://ledger.example/", "http://localhost:1/", "http://127.0.0.9/", "http://[::1]:80/x"] {
        HttpSink::new(good, HttpSettings::default()).unwrap();
    }
    let plain = HttpSettings { allow_plain_http: true, ..HttpSettings::default() };
    HttpSink::new("http://10.0.0.1/", plain).unwrap();
    for (settings, name) in [
        (HttpSettings { connections: 0, ..HttpSettings::default() }, "connections"),
        (HttpSettings { timeout_ms: 0, ..HttpSettings::default() }, "timeout_ms"),
        (HttpSettings { connect_timeout_ms: 0, ..HttpSettings::default() }, "connect_timeout_ms"),
    ] {
        let error = HttpSink::new("https://ledger.example/", settings).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// Through the whole buffer: it asks for pauses, hangs, loses answers; every message comes, in order.
#[tokio::test]
async fn messages_come_through_a_buffer_whatever_the_receiver_does() {
    let store = one_partition(Arc::new(sidestream::clock::SystemClock));
    let tellers = CommandHandler::new(store.clone(), Teller);
    for number in 0..200 {
        tell(&tellers, number, (number % 7) as u8, &[&format!("{number:03}")]).await;
    }
    let (came, tries) = (Came::default(), std::sync::atomic::AtomicUsize::new(0));
    let kept = Arc::clone(&came);
    let handle = move |request: Request| {
        let number = tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let takes = || kept.lock().unwrap().push(request);
        match number % 23 {
            3 => Reply::status(503),
            7 => Reply::Answer(429, vec![("retry-after", "0".to_owned())], String::new()),
            11 => {
                takes();
                Reply::Cut(b"")
            }
            19 if number < 40 => Reply::Hang,
            _ => {
                takes();
                Reply::status(200)
            }
        }
    };
    let server = Server::start(SocketAddr::from(ANYWHERE), handle).await.unwrap();
    let buffer = buffer_to(store.clone(), sink(&server), settings());
    let runs = Runs::start(&buffer, sidestream::EventStore::properties(&store).partitions, 1);
    let by_key = || came_by_key(came.lock().unwrap().iter().map(|request| &request.body[..]));
    until("all have come", async || by_key().values().map(Vec::len).sum::<usize>() == 200).await;
    runs.stop().await;
    for (key, came) in by_key() {
        assert!(came.is_sorted(), "{key}: {came:?}");
    }
    assert!(came.lock().unwrap().len() > 200, "answers were lost");
}
