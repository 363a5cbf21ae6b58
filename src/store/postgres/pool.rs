//! Connections that are kept, and made anew where they broke.

use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult, Timeouts};

use crate::clock::{Stopwatch, sleep};
use crate::error::{Error, ErrorKind, Result};
use crate::store::postgres::address::Address;
use crate::store::postgres::failure;
use crate::store::postgres::session::Session;

/// The pause before the second try to connect; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Makes connections, and looks whether a kept one may be used again.
pub(crate) struct Maker {
    address: Address,
}

impl managed::Manager for Maker {
    type Type = Arc<Session>;
    type Error = tokio_postgres::Error;

    async fn create(&self) -> Result<Arc<Session>, tokio_postgres::Error> {
        Session::open(&self.address).await.map(Arc::new)
    }

    async fn recycle(&self, session: &mut Arc<Session>, _: &Metrics) -> RecycleResult<tokio_postgres::Error> {
        if session.is_usable() { Ok(()) } else { Err(RecycleError::message("it was left in the middle")) }
    }
}

/// A connection that goes back when it is dropped.
pub(crate) type Lent = Object<Maker>;

/// A pool of connections. Clones share it.
#[derive(Clone)]
pub(crate) struct Pool {
    pool: managed::Pool<Maker>,
    patience: Duration,
}

impl Pool {
    /// A pool of at most `connections`. Whoever finds no server waits for one as long as `patience` lasts.
    pub(crate) fn new(address: Address, connections: usize, patience: Duration) -> Result<Self> {
        let timeouts = Timeouts { wait: Some(patience), create: None, recycle: None };
        let pool = managed::Pool::builder(Maker { address })
            .max_size(connections)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|source| Error::invalid("the pool of connections cannot be made").caused_by(source))?;
        Ok(Self { pool, patience })
    }

    /// A connection. While there is no server that takes writes, as in a failover, it is looked for again, with
    /// growing pauses.
    pub(crate) async fn session(&self) -> Result<Lent> {
        let watch = Stopwatch::start();
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match self.pool.get().await {
                Ok(session) => return Ok(session),
                Err(PoolError::Backend(source)) => failure::connecting(source),
                Err(PoolError::Closed) => return Err(closed()),
                Err(other) => return Err(busy(self.patience).caused_by(other)),
            };
            if failure.kind() != ErrorKind::Unavailable || watch.elapsed() >= self.patience {
                return Err(failure);
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store was closed")
}

fn busy(patience: Duration) -> Error {
    Error::new(ErrorKind::Overloaded, "no connection to PostgreSQL became free")
        .expected(format!("one within {} ms", patience.as_millis()), "none")
}
