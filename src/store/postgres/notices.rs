//! What a server says beside its answers.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::{AsyncMessage, Connection};

/// The notices of one connection. A commit that was answered with one is not certain: a wait for the quorum that was
/// cancelled ends in a plain `COMMIT` and a warning.
#[derive(Debug, Default)]
pub(super) struct Notices {
    count: AtomicU64,
    last: Mutex<Option<String>>,
}

impl Notices {
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// What the last one said.
    pub(super) fn last(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, text: String) {
        tracing::warn!(notice = text, "the PostgreSQL server warns");
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        self.count.fetch_add(1, Ordering::Release);
    }
}

/// Carries a connection's messages until it ends. They are taken in the order in which they came, so that a notice
/// is noted before the answer that it came in front of.
pub(super) async fn carry<S, T>(mut connection: Connection<S, T>, notices: Arc<Notices>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) if is_a_warning(&notice) => {
                notices.note(notice.to_string());
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "a connection to PostgreSQL broke");
                return;
            }
            None => return,
        }
    }
}

/// What is known to be harmless is left out, and nothing else.
fn is_a_warning(notice: &DbError) -> bool {
    let severity = notice.parsed_severity();
    !matches!(severity, Some(Severity::Notice | Severity::Info | Severity::Log | Severity::Debug))
}
