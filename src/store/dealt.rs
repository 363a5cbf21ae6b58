//! Work dealt out to several stores, done side by side, and the answers put back in the order given.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::task::Poll;

use crate::error::Error;

/// What one of the stores does, and where its answers belong.
#[derive(Debug)]
pub(super) struct Part<T> {
    pub(super) store: usize,
    pub(super) places: Vec<usize>,
    pub(super) items: Vec<T>,
}

/// Deals items, each with its place, to the stores that `store` names by number. Each part keeps the order.
pub(super) fn deal<T>(
    items: impl IntoIterator<Item = (usize, T)>,
    store: impl Fn(&T) -> usize,
) -> impl Iterator<Item = Part<T>> {
    let mut parts: BTreeMap<usize, Part<T>> = BTreeMap::new();
    for (place, item) in items {
        let store = store(&item);
        let part =
            parts.entry(store).or_insert_with(|| Part { store, places: Vec::new(), items: Vec::new() });
        part.places.push(place);
        part.items.push(item);
    }
    parts.into_values()
}

/// Answers that come in parts.
#[derive(Debug)]
pub(super) struct Answers<R>(Vec<Option<R>>);

impl<R> Answers<R> {
    pub(super) fn new(count: usize) -> Self {
        Self((0..count).map(|_| None).collect())
    }

    pub(super) fn put(&mut self, place: usize, answer: R) {
        if let Some(slot) = self.0.get_mut(place) {
            *slot = Some(answer);
        }
    }

    pub(super) fn put_all(&mut self, places: Vec<usize>, answers: Vec<R>) {
        places.into_iter().zip(answers).for_each(|(place, answer)| self.put(place, answer));
    }

    /// All answers, in order. A store that breaks the contract may have left some out.
    pub(super) fn all(self, missing: impl Fn(Error) -> R) -> Vec<R> {
        let error = || Error::corrupt("a store answered less than it was asked");
        self.0.into_iter().map(|answer| answer.unwrap_or_else(|| missing(error()))).collect()
    }
}

/// Runs futures side by side within this task, and returns their results in order. Nothing is spawned: who
/// drops this drops them all.
pub(super) async fn side_by_side<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        let mut is_done = true;
        for (future, result) in running.iter_mut().filter(|(_, result)| result.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(done) => *result = Some(done),
                Poll::Pending => is_done = false,
            }
        }
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, result)| result).collect()
}
