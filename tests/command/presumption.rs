//! A transaction is presumed to be new without a look at its side stream. Whoever presumes wrong says the same.

use std::sync::Arc;

use proptest::prelude::*;
use sidestream::protocol::Atomicity;
use sidestream::store::memory::MemoryStore;
use sidestream::testkit::changed::Changed;
use sidestream::testkit::faults::{FaultyStore, Script};
use sidestream::testkit::{effort, run};
use sidestream::{Category, CommandHandler, Decider, ErrorKind, Events, Outcome, StepName};

use crate::rules::{Account, Command, Event, Hold, Rejection, State};
use crate::support::{account, deposit, funds, store, tx};

const CATEGORY: Category = Account::CATEGORY;

#[test]
fn no_side_stream_is_read_before_a_new_transaction() {
    run(async {
        let counting = FaultyStore::new(Arc::new(store(Atomicity::Batch)), Script::new());
        let (accounts, id) = (CommandHandler::new(counting.clone(), Account), account("7"));
        deposit(&accounts, &id, 0, 100).await;
        let reads = counting.reads();
        assert!(!reads.contains_key(&CATEGORY.side_stream(&id, tx(0))), "{reads:?}");
        assert_eq!(reads.len(), 1, "the account, once: {reads:?}");
    });
}

/// Every handler is new here, and presumes.
fn presuming(store: &MemoryStore) -> CommandHandler<Account> {
    CommandHandler::new(store.clone(), Account)
}

#[test]
fn a_known_transaction_hears_what_it_heard() {
    run(async {
        let (store, id) = (store(Atomicity::Batch), account("7"));
        let refused = presuming(&store).handle(&id, tx("hold"), Command::Hold { minor: 5 }).await;
        let refused = refused.expect("handled");
        assert_eq!(refused, Outcome::Rejected(Rejection::UnknownAccount));
        let accepted = presuming(&store).handle(&id, tx("money"), Command::Deposit { minor: 9 }).await;
        let accepted = accepted.expect("handled");

        // Today it would be accepted.
        let again = presuming(&store).handle(&id, tx("hold"), Command::Hold { minor: 5 }).await;
        assert_eq!(again.expect("handled"), refused);
        let again = presuming(&store).handle(&id, tx("money"), Command::Deposit { minor: 9 }).await;
        assert_eq!(again.expect("handled"), accepted);
        let other = presuming(&store).handle(&id, tx("money"), Command::Deposit { minor: 8 }).await;
        assert_eq!(other.expect_err("another content").kind(), ErrorKind::Conflict);
        assert_eq!(funds(&presuming(&store), &id).await.expect("opened").available, 9);
    });
}

/// An answer rests on the side stream alone: neither rules that fail today nor an aggregate that cannot be read keep
/// it from whoever asks again.
#[test]
fn a_known_transaction_is_answered_whatever_fails_today() {
    run(async {
        let (store, id) = (store(Atomicity::Batch), account("7"));
        let deposit = Command::Deposit { minor: 9 };
        let first = presuming(&store).handle(&id, tx(1), deposit.clone()).await.expect("handled");

        let broken = CommandHandler::new(store.clone(), Broken);
        assert_eq!(broken.handle(&id, tx(1), deposit.clone()).await.expect("handled"), first);
        let unknown = broken.handle(&id, tx(2), deposit.clone()).await;
        assert_eq!(unknown.expect_err("the rules fail").kind(), ErrorKind::Invalid);

        let stream = CATEGORY.stream(&id);
        let damage = move |page: &mut sidestream::store::StreamPage| {
            let of_account = page.records.iter_mut().filter(|record| record.stream == stream);
            of_account.for_each(|record| record.checksum.0 ^= 1);
        };
        let damaged = CommandHandler::new(Changed(store.clone(), damage), Account);
        assert_eq!(damaged.handle(&id, tx(1), deposit.clone()).await.expect("handled"), first);
        let unknown = damaged.handle(&id, tx(2), deposit).await;
        assert_eq!(unknown.expect_err("unreadable").kind(), ErrorKind::Corrupt);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(effort::cases(200)))]

    /// Known and new transactions of few accounts, in one list: each known one fails what stands behind it in its
    /// chain, and all come to their own in the end.
    #[test]
    fn known_ones_among_new_ones_harm_nobody(
        sent in proptest::collection::vec((0_u64..3, 0_u64..40), 1..60),
        before in 0_u64..40,
    ) {
        run(async {
            let store = store(Atomicity::Batch);
            let id = |number: u64| account(&number.to_string());
            let first = presuming(&store);
            for number in 0..before {
                let handled = first.handle(&id(number % 3), tx(number), Command::Deposit { minor: 1 }).await;
                assert!(handled.expect("handled").is_accepted());
            }
            let accounts = presuming(&store);
            let commands = sent.iter().map(|(_, number)| (id(number % 3), tx(*number), Command::Deposit { minor: 1 }));
            for outcome in accounts.handle_many(commands).await {
                assert!(outcome.expect("handled").is_accepted());
            }
            let mut total = 0;
            for number in 0..3 {
                total += funds(&accounts, &id(number)).await.map_or(0, |funds| funds.available);
            }
            let mut known: Vec<u64> = sent.iter().map(|(_, number)| *number).chain(0..before).collect();
            known.sort_unstable();
            known.dedup();
            assert_eq!(total, i64::try_from(known.len()).expect("few"));
        });
    }
}

/// The account's rules, the day somebody broke them.
struct Broken;

impl Decider for Broken {
    const CATEGORY: Category = Account::CATEGORY;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;
    type State = State;
    type Transaction = Hold;

    fn step(command: &Command) -> StepName {
        Account::step(command)
    }

    fn decide(&self, _: &State, _: &Hold, _: &Command) -> Result<Events<Event>, Rejection> {
        panic!("broken")
    }

    fn evolve(state: &mut State, event: &Event) {
        Account::evolve(state, event);
    }

    fn settle(transaction: &mut Hold, command: &Command) {
        Account::settle(transaction, command);
    }

    fn event_type(event: &Event) -> &'static str {
        Account::event_type(event)
    }
}
