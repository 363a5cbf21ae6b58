//! A receiver that does what it is told to, and remembers everything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use sidestream::buffer::{Answer, Delivery, Sink};
use sidestream::message::MessageId;

/// How it answers a message: by its data, as text.
pub type Script = Box<dyn Fn(&str) -> Reaction + Send + Sync>;

#[derive(Debug, Clone)]
pub enum Reaction {
    Take,
    /// It has the message, and the answer is lost.
    TakeAndHang,
    Later,
    LaterAfter(Duration),
    Refuse,
    Panic,
}

#[derive(Default)]
pub struct Log {
    /// What came, in order: key, data.
    pub came: Vec<(String, String)>,
    pub contents: HashMap<MessageId, String>,
    /// Keys of which a message is being sent.
    pub busy: BTreeSet<String>,
    pub at_once: usize,
    pub tries: usize,
    pub broken: Vec<String>,
}

#[derive(Clone)]
pub struct Receiver(Arc<(Mutex<Log>, Mutex<Script>)>);

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receiver")
    }
}

impl Receiver {
    pub fn new(script: impl Fn(&str) -> Reaction + Send + Sync + 'static) -> Self {
        Self(Arc::new((Mutex::default(), Mutex::new(Box::new(script)))))
    }

    pub fn willing() -> Self {
        Self::new(|_| Reaction::Take)
    }

    pub fn now(&self, script: impl Fn(&str) -> Reaction + Send + Sync + 'static) {
        *self.0.1.lock().unwrap() = Box::new(script);
    }

    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.0.0.lock().unwrap()
    }

    /// What came of each key, each message once, as it came first.
    pub fn by_key(&self) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, data) in &self.log().came {
            let of = found.entry(key.clone()).or_default();
            if !of.contains(data) {
                of.push(data.clone());
            }
        }
        found
    }
}

/// Ends with the try, also where that is dropped.
struct Busy<'a>(&'a Receiver, String);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.log().busy.remove(&self.1);
    }
}

#[async_trait]
impl Sink for Receiver {
    async fn send(&self, delivery: &Delivery) -> Answer {
        let message = &delivery.message;
        let data = String::from_utf8(message.data.to_vec()).unwrap();
        let reaction = self.0.1.lock().unwrap()(&data);
        let busy = {
            let mut log = self.log();
            log.tries += 1;
            if !log.busy.insert(message.key.clone()) {
                log.broken.push(format!("two of key {} at once", message.key));
            }
            log.at_once = log.at_once.max(log.busy.len());
            let known = log.contents.entry(message.id).or_insert_with(|| data.clone());
            if *known != data {
                let text = format!("{} has two contents: {known}, {data}", message.id);
                log.broken.push(text);
            }
            Busy(self, message.key.clone())
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
        let take = || self.log().came.push((message.key.clone(), data.clone()));
        let answer = match reaction {
            Reaction::Take => {
                take();
                Answer::Taken
            }
            Reaction::TakeAndHang => {
                take();
                std::future::pending().await
            }
            Reaction::Later => Answer::later("busy"),
            Reaction::LaterAfter(after) => Answer::Later { after: Some(after), why: "busy".to_owned() },
            Reaction::Refuse => Answer::refused("not wanted"),
            Reaction::Panic => panic!("on purpose"),
        };
        drop(busy);
        answer
    }
}
