//! Statements that are sent one behind the other, without waiting for each.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};

use crate::store::postgres::Session;

/// A parameter that is kept until its statement was sent.
pub type OwnedParameter = (Box<dyn ToSql + Sync + Send>, Type);

/// Statements under way at once; whoever sends another one waits for the first.
const MOST: usize = 256;

/// A statement, and the event that it is for.
pub(super) struct Statement {
    pub(super) event: usize,
    pub(super) sql: String,
    pub(super) parameters: Vec<OwnedParameter>,
}

enum Job {
    Send(Statement),
    /// Says when everything that was sent before was answered.
    Settle(oneshot::Sender<()>),
}

/// The way to the task that sends.
pub(super) struct Pipeline {
    queue: mpsc::Sender<Job>,
    task: JoinHandle<()>,
}

/// A statement on its way.
type UnderWay = Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + Send>>;

impl Pipeline {
    /// Begins, on this runtime; `failed` hears which event's statement failed, and why.
    pub(super) fn begin(
        session: Arc<Session>,
        runtime: &Handle,
        failed: impl Fn(usize, tokio_postgres::Error) + Send + Sync + 'static,
    ) -> Self {
        let (queue, jobs) = mpsc::channel(MOST);
        Self { queue, task: runtime.spawn(drive(session, jobs, failed)) }
    }

    /// Hands a statement over; it is sent behind those before it.
    pub(super) fn send(&self, statement: Statement) -> impl Future<Output = ()> + use<> {
        hand_over(self.queue.clone(), Job::Send(statement))
    }

    /// Returns when everything that was sent was answered.
    pub(super) fn settled(&self) -> impl Future<Output = ()> + use<> {
        let (settled, answered) = oneshot::channel();
        let handed_over = hand_over(self.queue.clone(), Job::Settle(settled));
        async move {
            handed_over.await;
            // A task that ended has answered all there was, or its connection is gone.
            drop(answered.await);
        }
    }

    /// The same, and no more is sent: nobody has the connection for it any more.
    pub(super) async fn end(self) {
        drop(self.queue);
        drop(self.task.await);
    }
}

async fn hand_over(queue: mpsc::Sender<Job>, job: Job) {
    drop(queue.send(job).await);
}

async fn drive(
    session: Arc<Session>,
    mut jobs: mpsc::Receiver<Job>,
    failed: impl Fn(usize, tokio_postgres::Error) + Send + Sync,
) {
    let mut under_way: VecDeque<(usize, UnderWay)> = VecDeque::new();
    let tell = |event: usize, answer: Result<u64, tokio_postgres::Error>| {
        if let Err(source) = answer {
            failed(event, source);
        }
    };
    loop {
        // Answers come in the order in which the statements were sent.
        let first = poll_fn(|context| match under_way.front_mut() {
            Some((_, first)) => first.as_mut().poll(context),
            None => Poll::Pending,
        });
        tokio::select! {
            answer = first => {
                if let Some((event, _)) = under_way.pop_front() {
                    tell(event, answer);
                }
            }
            job = jobs.recv() => match job {
                Some(Job::Send(statement)) => {
                    if under_way.len() >= MOST && let Some((event, first)) = under_way.pop_front() {
                        tell(event, first.await);
                    }
                    let event = statement.event;
                    under_way.push_back((event, sent(Arc::clone(&session), statement).await));
                }
                Some(Job::Settle(settled)) => {
                    answer_all(&mut under_way, tell).await;
                    // Who asked may have gone away.
                    let _ = settled.send(());
                }
                None => return answer_all(&mut under_way, tell).await,
            }
        }
    }
}

async fn answer_all(
    under_way: &mut VecDeque<(usize, UnderWay)>,
    tell: impl Fn(usize, Result<u64, tokio_postgres::Error>),
) {
    while let Some((event, answer)) = under_way.pop_front() {
        tell(event, answer.await);
    }
}

/// Sends a statement: polling it once does.
async fn sent(session: Arc<Session>, statement: Statement) -> UnderWay {
    let mut answer: UnderWay = Box::pin(async move {
        let parameters = statement.parameters.iter();
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> = parameters
            .map(|(value, kind)| {
                let value: &(dyn ToSql + Sync) = &**value;
                (value, kind.clone())
            })
            .collect();
        session.change(&statement.sql, &parameters).await
    });
    let polled = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
    match polled {
        Poll::Ready(answered) => Box::pin(std::future::ready(answered)),
        Poll::Pending => answer,
    }
}
