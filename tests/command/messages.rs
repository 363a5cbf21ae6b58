//! Messages of decisions: recorded with what happened, once, or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use sidestream::codec::Codecs;
use sidestream::feed::{Cursor, Selection};
use sidestream::limits;
use sidestream::message::RecordedMessage;
use sidestream::store::{EventStore, ReadFrom, StreamRead};
use sidestream::stream::StreamName;
use sidestream::testkit::crash::{Books, CrashEverywhere, Schedule, Sent};
use sidestream::testkit::given::given;
use sidestream::testkit::{controls, effort};
use sidestream::{
    AggregateId, Category, CommandHandler, Decider, ErrorKind, Events, Message, Position, StepName, Topic,
    Version,
};

use crate::support::{account, any_store, tx};

const SHIPPED: Topic = Topic::new("orders.shipped");
const ASKED: Topic = Topic::new("orders.asked");
const UNKNOWN: Topic = Topic::new("orders.unknown");

/// Ships what there is, and tells of each piece; without pieces it tells that somebody asked.
struct Orders;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Command {
    Ship { pieces: u8 },
    Tell(Told),
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Told {
    UnknownTopic,
    TooLarge,
    TooMany,
    BadHeader,
    BadKey,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Shipped(u8);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SoldOut;

fn shipped(piece: u8) -> Message {
    Message::json(SHIPPED, &piece).key(format!("piece-{}", piece % 2)).header("piece", piece.to_string())
}

fn tell(told: Told) -> Events<Shipped> {
    let message = Message::json(ASKED, &());
    match told {
        Told::UnknownTopic => Events::none().with_message(Message::json(UNKNOWN, &1)),
        Told::TooLarge => {
            Events::none().with_message(Message::json(ASKED, &"x".repeat(limits::MESSAGE_BYTES)))
        }
        Told::TooMany => {
            (0..=limits::DECISION_MESSAGES).fold(Events::none(), |all, _| all.with_message(message.clone()))
        }
        Told::BadHeader => Events::none().with_message(message.header("x\r\nevil", "1")),
        Told::BadKey => Events::none().with_message(message.key("")),
    }
}

impl Decider for Orders {
    const CATEGORY: Category = Category::new("order");
    const TOPICS: &'static [Topic] = &[SHIPPED, ASKED];
    type Command = Command;
    type Event = Shipped;
    type Rejection = SoldOut;
    type State = u64;
    type Transaction = ();

    fn step(_: &Command) -> StepName {
        StepName::new("ship")
    }

    fn decide(&self, state: &u64, _: &(), command: &Command) -> Result<Events<Shipped>, SoldOut> {
        match command {
            Command::Tell(told) => Ok(tell(*told)),
            Command::Ship { pieces: 0 } => Ok(Events::none().with_message(Message::json(ASKED, &()))),
            Command::Ship { pieces } if state + u64::from(*pieces) > 40 => Err(SoldOut),
            Command::Ship { pieces } => Ok((0..*pieces)
                .fold(Events::from(Shipped(*pieces)), |all, piece| all.with_message(shipped(piece)))),
        }
    }

    fn evolve(state: &mut u64, event: &Shipped) {
        *state += u64::from(event.0);
    }

    fn settle(_: &mut (), _: &Command) {}

    fn event_type(_: &Shipped) -> &'static str {
        "Shipped"
    }
}

async fn stream(store: &Arc<dyn EventStore>, stream: StreamName) -> Vec<RecordedMessage> {
    let read = StreamRead { stream, from: ReadFrom::After(Version::EMPTY), limit: 4_096 };
    let page = store.read_streams(vec![read]).await.remove(0).expect("readable");
    page.records.iter().map(|record| RecordedMessage::read(record).expect("a message")).collect()
}

async fn told(store: &Arc<dyn EventStore>, id: &AggregateId) -> Vec<RecordedMessage> {
    stream(store, Orders::CATEGORY.message_stream(id)).await
}

#[test]
fn messages_are_recorded_with_what_happened_and_read_back_as_they_were_made() {
    for kind in 0..3 {
        sidestream::testkit::run(async {
            let store = any_store(kind).await;
            let orders = CommandHandler::new(store.clone(), Orders);
            let id = account("7");
            for _ in 0..2 {
                let outcome =
                    orders.handle(&id, tx("a"), Command::Ship { pieces: 3 }).await.expect("handled");
                assert!(outcome.is_accepted());
            }
            orders.handle(&id, tx("b"), Command::Ship { pieces: 0 }).await.expect("handled");
            let refused = orders.handle(&id, tx("c"), Command::Ship { pieces: 41 }).await.expect("handled");
            assert!(!refused.is_accepted());

            let told = told(&store, &id).await;
            let found: Vec<_> =
                told.iter().map(|one| (one.topic.clone(), one.key.as_str(), &one.data[..])).collect();
            let piece = |key, data| (SHIPPED, key, data);
            assert_eq!(
                found,
                [
                    piece("piece-0", &b"0"[..]),
                    piece("piece-1", b"1"),
                    piece("piece-0", b"2"),
                    (ASKED, "7", b"null")
                ]
            );
            assert_eq!(told[1].headers, BTreeMap::from([("piece".to_owned(), "1".to_owned())]));
            assert_eq!((told[1].content_type.as_str(), told[1].is_json()), ("application/json", true));
            assert_eq!(told[1].cause.transaction, tx("a"));
            let ids: std::collections::BTreeSet<_> = told.iter().map(|one| one.id).collect();
            assert_eq!(ids.len(), 4, "an id for each");
        });
    }
}

#[test]
fn bytes_come_back_as_they_are() {
    sidestream::testkit::run(async {
        struct Bytes;
        const RAW: Topic = Topic::new("raw");
        impl Decider for Bytes {
            const CATEGORY: Category = Category::new("bytes");
            const TOPICS: &'static [Topic] = &[RAW];
            type Command = ();
            type Event = ();
            type Rejection = ();
            type State = ();
            type Transaction = ();
            fn step((): &()) -> StepName {
                StepName::new("tell")
            }
            fn decide(&self, (): &(), (): &(), (): &()) -> Result<Events<()>, ()> {
                Ok(Events::none().with_message(Message::bytes(
                    RAW,
                    "application/octet-stream",
                    vec![0, 255, 7],
                )))
            }
            fn evolve((): &mut (), (): &()) {}
            fn settle((): &mut (), (): &()) {}
            fn event_type((): &()) -> &'static str {
                "Nothing"
            }
        }
        let store = any_store(0).await;
        CommandHandler::new(store.clone(), Bytes).handle(&account("7"), tx("a"), ()).await.expect("handled");
        let told = stream(&store, Bytes::CATEGORY.message_stream(&account("7"))).await;
        assert_eq!((&told[0].data[..], told[0].is_json()), (&[0, 255, 7][..], false));
    });
}

/// Bad messages fail their command at the earliest moment: nothing is written, and the same id may be used again.
#[test]
fn a_bad_message_is_refused_with_the_reason_and_nothing_is_written() {
    let bad = [
        (Told::UnknownTopic, "orders.unknown"),
        (Told::TooLarge, "262144"),
        (Told::TooMany, "at most 64"),
        (Told::BadHeader, "header"),
        (Told::BadKey, "key"),
    ];
    sidestream::testkit::run(async {
        let store = any_store(0).await;
        let orders = CommandHandler::new(store.clone(), Orders);
        for (wrong, why) in bad {
            let error = orders.handle(&account("7"), tx("a"), Command::Tell(wrong)).await.expect_err(why);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
        for partition in store.properties().partitions.all() {
            assert_eq!(
                store.read_log(partition, Position::START, 10).await.expect("read").head,
                Position::START
            );
        }
        let outcome =
            orders.handle(&account("7"), tx("a"), Command::Ship { pieces: 1 }).await.expect("handled");
        assert!(outcome.is_accepted(), "the id was not used up");
    });
}

/// Whoever follows events by category or by type sees no messages, though a topic may be named as an event is.
#[test]
fn projections_see_no_messages() {
    sidestream::testkit::run(async {
        let store = any_store(0).await;
        let orders = CommandHandler::new(store.clone(), Orders);
        orders.handle(&account("7"), tx("a"), Command::Ship { pieces: 3 }).await.expect("handled");
        let partition = store.properties().partitions.of("7");
        let everything =
            [Selection::all(), Selection::all().types(["Shipped", "orders.shipped"]).expect("types")];
        for selection in everything {
            let page = Cursor::new(store.clone(), partition, selection, Position::START)
                .next()
                .await
                .expect("a page");
            let found: Vec<_> = page.records.iter().map(|record| record.data.event_type.as_str()).collect();
            assert_eq!(found, ["Shipped"]);
        }
    });
}

#[test]
fn given_when_then_sees_messages() {
    given(Orders, [])
        .when(&Command::Ship { pieces: 2 })
        .then_events(&[Shipped(2)])
        .then_messages(&[shipped(0), shipped(1)]);
    given(Orders, []).when(&Command::Ship { pieces: 41 }).then_rejected(&SoldOut).then_messages(&[]);
    let wrong = || {
        given(Orders, [])
            .when(&Command::Tell(Told::UnknownTopic))
            .then_messages(&[Message::json(UNKNOWN, &1)]);
    };
    assert!(std::panic::catch_unwind(wrong).is_err(), "a topic that the decider does not name");
}

/// Each accepted command has told all of it, once, in order; a refused one nothing.
fn told_once(books: &Books<Orders>) -> Result<(), String> {
    for (told, sent) in
        books.accepted.iter().map(|sent| (true, sent)).chain(books.rejected.iter().map(|sent| (false, sent)))
    {
        let of = |message: &&RecordedMessage| {
            message.cause.transaction == sent.transaction && message.stream.id() == sent.aggregate.as_str()
        };
        let found: Vec<_> = books.messages.iter().filter(of).map(|message| message.data.to_vec()).collect();
        let expected: Vec<_> = match sent.command {
            _ if !told => Vec::new(),
            Command::Ship { pieces: 0 } | Command::Tell(_) => vec![b"null".to_vec()],
            Command::Ship { pieces } => (0..pieces).map(|piece| piece.to_string().into_bytes()).collect(),
        };
        if found != expected {
            return Err(format!("{sent:?} was to tell {expected:?}, and told {found:?}"));
        }
    }
    Ok(())
}

fn sent() -> impl Strategy<Value = Sent<Command>> {
    (0_u32..2, 0_u32..5, 0_u8..12).prop_map(|(order, transaction, pieces)| Sent {
        aggregate: controls::other_aggregate_id(order),
        transaction: controls::other_transaction_id(transaction),
        command: Command::Ship { pieces },
    })
}

proptest! {
    #![proptest_config(effort::proptest_config(500, "proptest-regressions/messages.txt"))]

    #[test]
    fn messages_are_told_once_through_any_crash(
        sends in prop::collection::vec(sent(), 1..10),
        schedule in Schedule::any(),
    ) {
        CrashEverywhere::new(|| Orders).audit(told_once).run(&sends, &schedule)?;
    }
}

#[test]
fn messages_are_told_once_through_every_crash_there_can_be() {
    let send = |transaction, pieces| Sent {
        aggregate: controls::aggregate_id(),
        transaction: controls::other_transaction_id(transaction),
        command: Command::Ship { pieces },
    };
    let runs = CrashEverywhere::new(|| Orders).audit(told_once).everywhere(&[send(1, 2), send(2, 0)]);
    assert!(runs.expect("no promise is broken") > 500);
}

/// The codec of messages is JSON, whatever the service's is: people read them with SQL.
#[test]
fn messages_are_json_whatever_the_codec() {
    sidestream::testkit::run(async {
        let store = any_store(0).await;
        let orders = CommandHandler::builder(store.clone(), Orders).codecs(Codecs::default()).build();
        orders.handle(&account("7"), tx("a"), Command::Ship { pieces: 1 }).await.expect("handled");
        let read = StreamRead {
            stream: Orders::CATEGORY.message_stream(&account("7")),
            from: ReadFrom::After(Version::EMPTY),
            limit: 1,
        };
        let page = store.read_streams(vec![read]).await.remove(0).expect("readable");
        let text = std::str::from_utf8(&page.records[0].data.payload).expect("text");
        assert_eq!(text, r#"{"key":"piece-0","headers":{"piece":"0"},"data":0}"#);
    });
}
