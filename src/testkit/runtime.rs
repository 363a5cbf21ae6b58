//! Running async tests without tokio's macros, and really in parallel.

use std::future::Future;

use tokio::runtime::{Builder, Handle};

/// Runs a test to its end on a runtime of its own.
///
/// # Panics
/// When the test does, or when the machine gives no runtime.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test)
}

/// Runs futures side by side, each on a thread, and returns their results in order.
///
/// Tasks of one thread take turns at their awaits only, and a store that never waits would never be
/// interrupted: threads find races that tasks do not.
///
/// # Panics
/// When one of them does.
pub async fn parallel<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let spawn = |future: F| {
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || runtime.block_on(future))
    };
    let tasks: Vec<_> = futures.into_iter().map(spawn).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
    }
    results
}
