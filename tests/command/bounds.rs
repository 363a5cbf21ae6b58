//! One bad command fails alone; bounds are kept; nothing of a refused call is written.

use serde::{Deserialize, Serialize};
use sidestream::command::Settings;
use sidestream::testkit::run;
use sidestream::{Category, CommandHandler, Decider, ErrorKind, Events, Outcome, StepName};

use crate::support::{BOTH, account, store, tx};

/// A decider that does whatever it is told, good or bad.
struct Wild;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Order {
    Add(u8),
    Nothing,
    PanicInDecide,
    PanicInEvolve,
    PanicInSettle,
    PanicInEventType,
    BadEventType,
    LongReason,
    LargeTransaction,
    LargeEvent,
    ManyEvents,
    NotJson(#[serde(with = "pairs")] Vec<(u8, u8)>),
    LongStep,
}

/// A map whose keys are no strings: bincode can write it, JSON cannot.
mod pairs {
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ptr_arg, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(pairs: &Vec<(u8, u8)>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(key, value)| ([*key], *value)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(u8, u8)>, D::Error> {
        Vec::<(u8, u8)>::deserialize(deserializer)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Happened {
    Added(u8),
    Bad,
    Large(String),
    Fatal,
    Nameless,
}

impl Decider for Wild {
    const CATEGORY: Category = Category::new("wild");
    type Command = Order;
    type Event = Happened;
    type Rejection = String;
    type State = u64;
    type Transaction = String;

    fn step(order: &Order) -> StepName {
        match order {
            Order::LongStep => StepName::keyed("step", "x".repeat(100)),
            _ => StepName::new("step"),
        }
    }

    fn decide(&self, _: &u64, _: &String, order: &Order) -> Result<Events<Happened>, String> {
        match order {
            Order::Add(number) => Ok(Happened::Added(*number).into()),
            Order::PanicInDecide => panic!("on purpose: decide"),
            Order::PanicInEvolve => Ok(Happened::Fatal.into()),
            Order::BadEventType => Ok(Happened::Bad.into()),
            Order::PanicInEventType => Ok(Happened::Nameless.into()),
            Order::LongReason => Err("x".repeat(5_000)),
            Order::LargeEvent => Ok(Happened::Large("x".repeat((1 << 20) + 1)).into()),
            Order::ManyEvents => Ok(vec![Happened::Added(1); 257].into()),
            Order::Nothing | Order::PanicInSettle | Order::LargeTransaction => Ok(Events::none()),
            Order::NotJson(_) | Order::LongStep => unreachable!("refused before"),
        }
    }

    fn evolve(state: &mut u64, event: &Happened) {
        match event {
            Happened::Added(number) => *state += u64::from(*number),
            Happened::Fatal => {
                *state = 1_000_000;
                panic!("on purpose: evolve")
            }
            Happened::Bad | Happened::Large(_) | Happened::Nameless => {}
        }
    }

    fn settle(transaction: &mut String, order: &Order) {
        match order {
            Order::PanicInSettle => panic!("on purpose: settle"),
            Order::LargeTransaction => *transaction = "x".repeat(2_000),
            _ => {}
        }
    }

    fn event_type(event: &Happened) -> &'static str {
        match event {
            Happened::Added(_) => "Added",
            Happened::Bad => "$bad",
            Happened::Large(_) => "Large",
            Happened::Fatal => "Fatal",
            Happened::Nameless => panic!("on purpose: event_type"),
        }
    }
}

fn bad_orders() -> Vec<(Order, &'static str)> {
    vec![
        (Order::PanicInDecide, "panicked in `decide`"),
        (Order::PanicInEvolve, "panicked in `evolve`"),
        (Order::PanicInSettle, "panicked in `settle`"),
        (Order::PanicInEventType, "panicked in `event_type`"),
        (Order::BadEventType, "$bad"),
        (Order::LongReason, "rejection is too large"),
        (Order::LargeTransaction, "transaction's state is too large"),
        (Order::LargeEvent, "payload"),
        (Order::ManyEvents, "too many events"),
        (Order::NotJson(vec![(1, 2)]), "no JSON form"),
        (Order::LongStep, "step"),
    ]
}

/// The neighbours of a bad command, in the same batch and on the same aggregate, are not touched by it.
#[test]
fn one_bad_command_in_a_batch_fails_alone() {
    run(async {
        for atomicity in BOTH {
            for (bad, why) in bad_orders() {
                let accounts = CommandHandler::new(store(atomicity), Wild);
                let id = account("7");
                let orders = [Order::Add(1), bad.clone(), Order::Add(2), Order::Nothing, Order::Add(4)];
                let commands =
                    orders.into_iter().enumerate().map(|(number, order)| (id.clone(), tx(number), order));
                let answers = accounts.handle_many(commands).await;
                for (number, answer) in answers.iter().enumerate() {
                    match answer {
                        Ok(outcome) => {
                            assert!(number != 1 && outcome.is_accepted(), "{bad:?} {number} {outcome:?}")
                        }
                        Err(error) => {
                            assert_eq!((number, error.kind()), (1, ErrorKind::Invalid), "{bad:?}: {error}");
                            assert!(error.to_string().contains(why), "{bad:?}: {error}");
                        }
                    }
                }
                let total = accounts.query(&id, |state, _| *state).await.expect("readable");
                assert_eq!(total, 7, "{atomicity:?} {bad:?}");
            }
        }
    });
}

#[test]
fn a_decision_without_events_is_accepted_once() {
    run(async {
        for atomicity in BOTH {
            let accounts = CommandHandler::new(store(atomicity), Wild);
            let first = accounts.handle(&account("7"), tx(1), Order::Nothing).await.expect("handled");
            let again = accounts.handle(&account("7"), tx(1), Order::Nothing).await.expect("handled");
            assert!(
                matches!(first, Outcome::Accepted(receipt) if !receipt.replay && receipt.version.get() == 1)
            );
            assert_eq!(first, again);
        }
    });
}

#[test]
fn a_command_over_the_bound_is_refused_at_the_door() {
    run(async {
        let mut settings = Settings::default();
        settings.limits.command_bytes = 1;
        let accounts = CommandHandler::builder(store(BOTH[0]), Wild).settings(settings).build();
        let error = accounts.handle(&account("7"), tx(1), Order::Add(200)).await.expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("at most 1 bytes"), "{error}");
        let error = accounts.submit(&account("7"), tx(1), Order::Nothing, Some(String::new())).await;
        assert_eq!(error.expect_err("no address").kind(), ErrorKind::Invalid);
    });
}

#[test]
fn a_query_that_panics_harms_nobody() {
    run(async {
        let accounts = CommandHandler::new(store(BOTH[0]), Wild);
        let id = account("7");
        accounts.handle(&id, tx(1), Order::Add(3)).await.expect("handled");
        let look = |_: &u64, _| -> u64 { panic!("on purpose: query") };
        assert_eq!(accounts.query(&id, look).await.expect_err("panicked").kind(), ErrorKind::Invalid);
        assert_eq!(accounts.query(&id, |state, _| *state).await.expect("readable"), 3);
    });
}

/// Many bad commands in front of a good one, on one aggregate: each fails at once, by itself.
#[test]
fn a_crowd_of_bad_commands_does_not_starve_a_good_one() {
    run(async {
        for atomicity in BOTH {
            let accounts = CommandHandler::new(store(atomicity), Wild);
            let bad = (0..100).map(|number| (account("7"), tx(number), Order::LargeEvent));
            let good = (account("7"), tx("good"), Order::Add(5));
            let answers = accounts.handle_many(bad.chain([good])).await;
            let failed = answers.iter().filter(|answer| answer.is_err()).count();
            assert_eq!(failed, 100);
            assert!(answers[100].as_ref().expect("handled").is_accepted());
            assert_eq!(accounts.stats().restarts, 0, "{atomicity:?}");
        }
    });
}
