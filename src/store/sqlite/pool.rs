//! Connections that read, a few, each used by one call at a time on a thread that may block.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, ErrorKind, Result};
use crate::store::sqlite::reader::Reader;

/// The readers of a store.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    readers: Arc<Mutex<Vec<Reader>>>,
    free: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(readers: Vec<Reader>) -> Self {
        let free = Arc::new(Semaphore::new(readers.len()));
        Self { readers: Arc::new(Mutex::new(readers)), free }
    }

    /// Closes the connections that are not in use; the others close when they are given back. Later
    /// reads fail.
    pub(super) fn close(&self) {
        self.free.close();
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.free.is_closed()
    }

    /// Runs `read` on a free connection. A caller that goes away leaves it to finish by itself.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Reader) -> T + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| closed())?;
        let pool = self.clone();
        let job = move || pool.with_reader(permit, read);
        match Handle::try_current() {
            Ok(runtime) => runtime.spawn_blocking(job).await.map_err(|source| {
                Error::new(ErrorKind::Unavailable, "sqlite: a read was given up").caused_by(source)
            })?,
            // Outside of tokio there is no thread for it but the caller's.
            Err(_) => job(),
        }
    }

    fn with_reader<T>(&self, permit: OwnedSemaphorePermit, read: impl FnOnce(&mut Reader) -> T) -> Result<T> {
        let taken = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = taken.ok_or_else(closed)?;
        let result = read(&mut reader);
        if !self.free.is_closed() {
            self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        }
        drop(permit);
        Ok(result)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "sqlite: the store was closed").advice("open the store again")
}
