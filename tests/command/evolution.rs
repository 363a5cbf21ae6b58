//! Yesterday's records under today's code: upcast where the code knows how, refused where it does not.

use serde::{Deserialize, Serialize};
use sidestream::codec::{Codecs, Encoded};
use sidestream::decider::Schemas;
use sidestream::store::memory::MemoryStore;
use sidestream::testkit::run;
use sidestream::{Category, CommandHandler, Decider, ErrorKind, Events, Outcome, Result, StepName};

use crate::support::{BOTH, account, store, tx};

/// Whole euros.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PayV1 {
    euros: i64,
}

/// Cents, and a purpose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pay {
    cents: i64,
    purpose: String,
}

impl From<PayV1> for Pay {
    fn from(old: PayV1) -> Self {
        Self { cents: old.euros * 100, purpose: String::new() }
    }
}

macro_rules! payer {
    ($name:ident, $pay:ty, $schemas:expr, $amount:expr, { $($more:tt)* }) => {
        struct $name;

        impl Decider for $name {
            const CATEGORY: Category = Category::new("payer");
            const SCHEMAS: Schemas = $schemas;
            type Command = $pay;
            type Event = $pay;
            type Rejection = String;
            type State = i64;
            type Transaction = i64;

            fn step(_: &$pay) -> StepName {
                StepName::new("pay")
            }

            fn decide(&self, _: &i64, _: &i64, pay: &$pay) -> std::result::Result<Events<$pay>, String> {
                if $amount(pay) > 0 { Ok(pay.clone().into()) } else { Err("nothing to pay".to_owned()) }
            }

            fn evolve(state: &mut i64, pay: &$pay) {
                *state += $amount(pay);
            }

            fn settle(paid: &mut i64, pay: &$pay) {
                *paid += $amount(pay);
            }

            fn event_type(_: &$pay) -> &'static str {
                "Paid"
            }

            $($more)*
        }
    };
}

const V2: Schemas = Schemas { command: 2, event: 2, snapshot: 2, ..Schemas::V1 };

payer!(Yesterday, PayV1, Schemas::V1, |pay: &PayV1| pay.euros, {});
payer!(Today, Pay, V2, |pay: &Pay| pay.cents, {
    fn upcast_event(old: &Encoded<'_>) -> Result<Pay> {
        if old.schema() == 1 { old.decode::<PayV1>().map(Pay::from) } else { old.unsupported() }
    }

    fn upcast_command(old: &Encoded<'_>) -> Result<Pay> {
        if old.schema() == 1 { old.decode::<PayV1>().map(Pay::from) } else { old.unsupported() }
    }
});
payer!(Tomorrow, Pay, Schemas { command: 3, event: 3, ..V2 }, |pay: &Pay| pay.cents, {});

fn pay(cents: i64) -> Pay {
    Pay { cents, purpose: String::new() }
}

async fn with_history() -> MemoryStore {
    let store = store(BOTH[0]);
    let yesterday = CommandHandler::builder(store.clone(), Yesterday).codecs(Codecs::json()).build();
    for (number, euros) in [(1, 5), (2, 0)] {
        yesterday.handle(&account("7"), tx(number), PayV1 { euros }).await.expect("handled");
    }
    store
}

#[test]
fn older_events_are_upcast_whatever_codec_wrote_them() {
    run(async {
        let today = CommandHandler::new(with_history().await, Today);
        today.handle(&account("7"), tx(3), pay(1)).await.expect("handled");
        assert_eq!(today.query(&account("7"), |state, _| *state).await.expect("readable"), 501);
    });
}

/// A client that was upgraded retries an old payment: it is compared as today's code would have asked.
#[test]
fn a_retry_under_a_newer_schema_is_the_same_content_after_upcasting() {
    run(async {
        let today = CommandHandler::new(with_history().await, Today);
        let paid = today.handle(&account("7"), tx(1), pay(500)).await.expect("a replay");
        assert!(matches!(paid, Outcome::Accepted(receipt) if receipt.replay));
        let refused = today.handle(&account("7"), tx(2), pay(0)).await.expect("a replay");
        assert_eq!(refused, Outcome::Rejected("nothing to pay".to_owned()));
        let error = today.handle(&account("7"), tx(1), pay(501)).await.expect_err("other content");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    });
}

/// An older program finds a newer one's events: it decides nothing, and drops nothing.
#[test]
fn an_unknown_schema_is_refused_and_changes_nothing() {
    run(async {
        let store = with_history().await;
        let today = CommandHandler::new(store.clone(), Today);
        today.handle(&account("7"), tx(3), pay(1)).await.expect("handled");
        let yesterday = CommandHandler::new(store.clone(), Yesterday);
        let error =
            yesterday.handle(&account("7"), tx(4), PayV1 { euros: 1 }).await.expect_err("newer events");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("schema version 2"), "{error}");
        let tomorrow = CommandHandler::new(store, Tomorrow);
        assert!(tomorrow.handle(&account("7"), tx(5), pay(1)).await.is_err(), "no upcaster, no decision");
        assert_eq!(today.query(&account("7"), |state, _| *state).await.expect("readable"), 501);
    });
}

/// Two variants that changed places would be read as each other by a codec that goes by number.
#[test]
fn a_renumbered_event_is_noticed() {
    #[derive(Debug, Clone, Serialize, Deserialize)]
    enum Old {
        In(i64),
        Out(i64),
    }
    #[derive(Debug, Clone, Serialize, Deserialize)]
    enum New {
        Out(i64),
        In(i64),
    }
    macro_rules! purse {
        ($name:ident, $event:ident) => {
            struct $name;
            impl Decider for $name {
                const CATEGORY: Category = Category::new("purse");
                type Command = i64;
                type Event = $event;
                type Rejection = ();
                type State = i64;
                type Transaction = ();
                fn step(_: &i64) -> StepName {
                    StepName::new("move")
                }
                fn decide(&self, _: &i64, (): &(), by: &i64) -> std::result::Result<Events<$event>, ()> {
                    Ok(if *by < 0 { $event::Out(-by) } else { $event::In(*by) }.into())
                }
                fn evolve(state: &mut i64, event: &$event) {
                    match event {
                        $event::In(by) => *state += by,
                        $event::Out(by) => *state -= by,
                    }
                }
                fn settle((): &mut (), _: &i64) {}
                fn event_type(event: &$event) -> &'static str {
                    match event {
                        $event::In(_) => "In",
                        $event::Out(_) => "Out",
                    }
                }
            }
        };
    }
    purse!(Before, Old);
    purse!(After, New);
    run(async {
        let store = store(BOTH[0]);
        CommandHandler::new(store.clone(), Before).handle(&account("7"), tx(1), 5).await.expect("handled");
        let after = CommandHandler::new(store, After);
        let error = after.query(&account("7"), |state, _| *state).await.expect_err("renumbered");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("decodes as another one"), "{error}");
    });
}
