//! A view whose calls fail as they are told to, and kill their process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sidestream::projection::{
    Audited, Ceiling, Definition, Demands, Generational, Generations, Hold, Limits, Opened, Place, Stand,
    Switched, View, ViewFailure, Work,
};
use sidestream::testkit::faults::FaultyStore;
use sidestream::{Error, ErrorKind, Result};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewFault {
    /// Nothing is done, and the answer says so.
    Down,
    /// It is done, and the answer is lost.
    Unknown,
    /// The process dies before it.
    CrashBefore,
    /// The process dies after it.
    CrashAfter,
}

/// Faults by call, from 1, over all lives.
#[derive(Debug, Clone)]
pub struct FaultyView<V> {
    pub view: V,
    process: FaultyStore,
    script: Arc<Mutex<(u64, BTreeMap<u64, ViewFault>)>>,
    /// Work on generations that goes on when whoever asked for it does not.
    under_way: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl<V> FaultyView<V> {
    pub fn new(view: V, process: FaultyStore, script: BTreeMap<u64, ViewFault>) -> Self {
        Self { view, process, script: Arc::new(Mutex::new((0, script))), under_way: Arc::default() }
    }

    /// The view as the next process has it.
    pub fn of(&self, process: FaultyStore) -> Self
    where
        V: Clone,
    {
        self.with(self.view.clone(), process)
    }

    fn with<W>(&self, view: W, process: FaultyStore) -> FaultyView<W> {
        let (script, under_way) = (Arc::clone(&self.script), Arc::clone(&self.under_way));
        FaultyView { view, process, script, under_way }
    }

    /// Waits for what a process left under way. One that really dies takes its threads with it: what they did is done
    /// before the next one looks, and what they did not never is.
    pub async fn at_rest(&self) {
        let under_way = std::mem::take(&mut *self.under_way.lock().unwrap());
        for task in under_way {
            task.await.unwrap();
        }
    }

    async fn apart<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (tell, heard) = oneshot::channel();
        let task = tokio::spawn(async move { drop(tell.send(work.await)) });
        self.under_way.lock().unwrap().push(task);
        heard.await.unwrap()
    }

    pub fn calls(&self) -> u64 {
        self.script.lock().unwrap().0
    }

    async fn call<T>(&self, work: impl Future<Output = Result<T, ViewFailure>>) -> Result<T, ViewFailure> {
        let fault = {
            let mut script = self.script.lock().unwrap();
            script.0 += 1;
            let number = script.0;
            script.1.remove(&number)
        };
        let failed = |kind| Err(ViewFailure::View(Error::new(kind, "scripted")));
        match fault {
            None => work.await,
            Some(ViewFault::Down) => failed(ErrorKind::Unavailable),
            Some(ViewFault::Unknown) => {
                drop(work.await);
                failed(ErrorKind::Unknown)
            }
            Some(ViewFault::CrashBefore) => self.crash().await,
            Some(ViewFault::CrashAfter) => {
                drop(work.await);
                self.crash().await
            }
        }
    }

    async fn crash<T>(&self) -> T {
        self.process.kill();
        std::future::pending().await
    }
}

#[async_trait]
impl<V: View> View for FaultyView<V> {
    type Rows = V::Rows;

    async fn open(
        &self,
        place: &Place,
        epoch: u64,
        definition: &Definition<V::Rows>,
        limits: &Limits,
    ) -> Result<Opened, ViewFailure> {
        self.call(self.view.open(place, epoch, definition, limits)).await
    }

    async fn run(&self, place: &Place, epoch: u64, work: Work<V::Rows>) -> Result<(), ViewFailure> {
        self.call(self.view.run(place, epoch, work)).await
    }

    async fn audit(&self, place: &Place, limit: usize) -> Result<Vec<Audited>> {
        self.view.audit(place, limit).await
    }
}

impl<V> FaultyView<V> {
    /// The same for calls that answer with an error.
    async fn ask<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let asked = self.call(async { Ok(work.await?) }).await;
        asked.map_err(|failure| match failure {
            ViewFailure::View(error) => error,
            ViewFailure::Handler { cause, .. } => Error::new(ErrorKind::Invalid, cause),
        })
    }
}

#[async_trait]
impl<V: Generational> Generational for FaultyView<V> {
    type Content = V::Content;

    async fn generations(&self) -> Result<Generations> {
        self.ask(self.view.generations()).await
    }

    async fn build(&self) -> Result<Self> {
        let view = self.view.clone();
        let view = self.ask(self.apart(async move { view.build().await })).await?;
        Ok(self.with(view, self.process.clone()))
    }

    async fn ceiling(&self, place: &Place) -> Result<Ceiling> {
        self.view.ceiling(place).await
    }

    async fn stands(&self) -> Result<Vec<Stand>> {
        self.view.stands().await
    }

    async fn hold(&self) -> Result<Box<dyn Hold<V::Content>>> {
        let view = self.view.clone();
        let hold = self.ask(self.apart(async move { view.hold().await })).await?;
        Ok(Box::new(FaultyHold { hold, view: self.with((), self.process.clone()) }))
    }

    async fn give_up(&self) -> Result<()> {
        self.view.give_up().await
    }

    async fn drop_former(&self) -> Result<usize> {
        let view = self.view.clone();
        self.ask(self.apart(async move { view.drop_former().await })).await
    }
}

/// A hold whose switch may fail.
struct FaultyHold<C> {
    hold: Box<dyn Hold<C>>,
    view: FaultyView<()>,
}

#[async_trait]
impl<C: Send + Sync + 'static> Hold<C> for FaultyHold<C> {
    fn stands(&self) -> &[Stand] {
        self.hold.stands()
    }

    async fn switch(self: Box<Self>, demands: Demands<C>) -> Result<Switched> {
        let Self { hold, view } = *self;
        view.ask(view.apart(async move { hold.switch(demands).await })).await
    }
}
