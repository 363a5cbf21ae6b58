//! Submitted steps: replies go to the requester, once settled, and losing one is harmless.

use async_trait::async_trait;
use sidestream::command::{Reply, ReplyHandler};
use sidestream::testkit::run;
use sidestream::{CommandHandler, Decider, Outcome};
use tokio::sync::mpsc;

use crate::rules::{Account, Command, Rejection};
use crate::support::{BOTH, account, leave_open, store, tx};

struct Channel(mpsc::Sender<Reply<Rejection>>);

#[async_trait]
impl ReplyHandler<Account> for Channel {
    async fn reply(&self, reply: Reply<Rejection>) {
        assert_ne!(reply.requester, "panic", "on purpose");
        self.0.send(reply).await.expect("someone listens");
    }
}

#[test]
fn replies_are_dispatched_to_their_requesters() {
    run(async {
        for atomicity in BOTH {
            let (sender, mut replies) = mpsc::channel(10);
            let accounts =
                CommandHandler::builder(store(atomicity), Account).replies(Channel(sender)).build();
            let id = account("7");
            let deposit = Command::Deposit { minor: 5 };
            accounts
                .submit(&id, tx("lost"), deposit.clone(), Some("panic".to_owned()))
                .await
                .expect("submitted");
            accounts.submit(&id, tx("quiet"), deposit.clone(), None).await.expect("submitted");
            accounts.submit(&id, tx("a"), deposit, Some("queue-a".to_owned())).await.expect("submitted");
            let hold = Command::Hold { minor: 50 };
            accounts.submit(&id, tx("b"), hold.clone(), Some("queue-b".to_owned())).await.expect("submitted");

            let first = replies.recv().await.expect("a reply");
            assert_eq!((first.requester.as_str(), first.transaction), ("queue-a", tx("a")));
            assert!(first.outcome.is_accepted());
            let second = replies.recv().await.expect("a reply");
            assert_eq!((second.requester.as_str(), &second.step), ("queue-b", &Account::step(&hold)));
            assert_eq!(second.outcome, Outcome::Rejected(Rejection::Insufficient { available: 15 }));
            // What a reply said, everybody hears.
            let heard = accounts.outcome(&id, tx("b"), &second.step).await.expect("readable");
            assert_eq!(heard, Some(second.outcome));
        }
    });
}

/// The process that was to settle it died: whoever recovers the step replies.
#[test]
fn whoever_settles_a_step_replies() {
    run(async {
        let (store, id) = (store(BOTH[0]), account("7"));
        let mut settings = sidestream::command::Settings::default();
        settings.limits.decision_events = 0;
        let dying = CommandHandler::builder(store.clone(), Account).settings(settings).build();
        let deposit = Command::Deposit { minor: 5 };
        dying.submit(&id, tx("a"), deposit, Some("queue-a".to_owned())).await.expect("submitted");
        leave_open(store.clone(), &id, tx("b"), Command::Deposit { minor: 1 }).await;

        let (sender, mut replies) = mpsc::channel(10);
        let accounts = CommandHandler::builder(store, Account).replies(Channel(sender)).build();
        assert_eq!(accounts.recover(std::time::Duration::ZERO).await.expect("swept").settled(), 2);
        assert_eq!(replies.recv().await.expect("a reply").transaction, tx("a"));
        drop(accounts);
        assert!(replies.recv().await.is_none(), "nobody asked for the other one's reply");
    });
}

/// A step that is settled in passing, by a command for the transaction's next step, has its reply, too.
#[test]
fn a_step_settled_in_passing_is_replied_to() {
    run(async {
        for atomicity in BOTH {
            let (store, id) = (store(atomicity), account("7"));
            let mut settings = sidestream::command::Settings::default();
            settings.limits.decision_events = 0;
            let dying = CommandHandler::builder(store.clone(), Account).settings(settings).build();
            CommandHandler::new(store.clone(), Account)
                .handle(&id, tx("d"), Command::Deposit { minor: 9 })
                .await
                .expect("handled");
            let hold = Command::Hold { minor: 5 };
            dying.submit(&id, tx("h"), hold.clone(), Some("queue-h".to_owned())).await.expect("submitted");

            let (sender, mut replies) = mpsc::channel(10);
            let accounts = CommandHandler::builder(store, Account).replies(Channel(sender)).build();
            let captured = accounts.handle(&id, tx("h"), Command::Capture { part: 1, minor: 5 }).await;
            assert!(captured.expect("handled").is_accepted());
            let reply = replies.recv().await.expect("a reply");
            assert_eq!((reply.requester.as_str(), &reply.step), ("queue-h", &Account::step(&hold)));
            drop(accounts);
            assert!(replies.recv().await.is_none(), "one reply, and none for whoever waited itself");
        }
    });
}
