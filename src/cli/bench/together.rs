//! Waits for several futures at once, at next to no cost: the client's own work is part of what is measured.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Futures that are waited for together. Only those that were woken are polled, and their places are used again.
pub(super) struct Together<F> {
    places: Vec<Place<F>>,
    caller: Arc<Mutex<Option<Waker>>>,
}

struct Place<F> {
    future: Pin<Box<Option<F>>>,
    bell: Arc<Bell>,
    waker: Waker,
}

/// Tells the caller that something happened, and which place to look at.
struct Bell {
    rung: AtomicBool,
    caller: Arc<Mutex<Option<Waker>>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let first = !self.rung.swap(true, Ordering::AcqRel);
        if first && let Some(caller) = self.caller.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            caller.wake_by_ref();
        }
    }
}

impl<T, E, F: Future<Output = Result<T, E>>> Together<F> {
    /// Room for this many.
    pub(super) fn new(places: usize) -> Self {
        let caller = Arc::new(Mutex::new(None));
        let place = || {
            let bell = Arc::new(Bell { rung: AtomicBool::new(false), caller: Arc::clone(&caller) });
            Place { future: Box::pin(None), waker: Waker::from(Arc::clone(&bell)), bell }
        };
        Self { places: (0..places).map(|_| place()).collect(), caller }
    }

    /// Runs these to their ends, as many as there is room for, and hands each result on when it is there.
    pub(super) async fn run(
        &mut self,
        futures: impl Iterator<Item = F>,
        mut each: impl FnMut(T),
    ) -> Result<(), E> {
        for (place, future) in self.places.iter_mut().zip(futures) {
            place.future.set(Some(future));
            place.bell.rung.store(true, Ordering::Release);
        }
        poll_fn(|context| self.poll(context, &mut each)).await
    }

    fn poll(&mut self, context: &Context<'_>, each: &mut impl FnMut(T)) -> Poll<Result<(), E>> {
        // Before the bells are looked at: one that rings from now on wakes the caller.
        self.listen(context.waker());
        let mut waiting = false;
        for place in &mut self.places {
            let Some(future) = place.future.as_mut().as_pin_mut() else { continue };
            if !place.bell.rung.swap(false, Ordering::AcqRel) {
                waiting = true;
                continue;
            }
            match future.poll(&mut Context::from_waker(&place.waker)) {
                Poll::Pending => waiting = true,
                Poll::Ready(result) => {
                    place.future.set(None);
                    match result {
                        Ok(value) => each(value),
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn listen(&self, waker: &Waker) {
        let mut caller = self.caller.lock().unwrap_or_else(PoisonError::into_inner);
        match caller.as_mut() {
            Some(known) => known.clone_from(waker),
            None => *caller = Some(waker.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    async fn wait(answer: oneshot::Receiver<u32>) -> Result<u32, &'static str> {
        answer.await.map_err(|_| "gone")
    }

    #[tokio::test]
    async fn answers_come_in_any_order_and_places_are_used_again() {
        let mut together = Together::new(3);
        for _ in 0..3 {
            let (replies, answers): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
            let answering = tokio::spawn(async move {
                for (number, reply) in (0..).zip(replies).collect::<Vec<_>>().into_iter().rev() {
                    tokio::task::yield_now().await;
                    reply.send(number).expect("waited for");
                }
            });
            let mut heard = Vec::new();
            together.run(answers.into_iter().map(wait), |number| heard.push(number)).await.expect("answered");
            heard.sort_unstable();
            assert_eq!(heard, [0, 1, 2]);
            answering.await.expect("done");
        }
    }

    #[tokio::test]
    async fn the_first_failure_ends_it() {
        let (reply, answer) = oneshot::channel();
        drop(reply);
        let (_kept, other) = oneshot::channel();
        let failed = Together::new(2).run([answer, other].into_iter().map(wait), |_| ()).await;
        assert_eq!(failed, Err("gone"));
    }
}
