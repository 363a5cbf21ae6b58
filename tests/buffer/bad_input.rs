//! What is wrong is said at the start, with what to do.

use sidestream::buffer::{Destination, DestinationSettings, EventBuffer};
use sidestream::{ErrorKind, MemoryStore, Topic};

use crate::receiver::Receiver;
use crate::support::*;

fn to(name: &str, topics: &[Topic]) -> Destination {
    Destination::new(name, Receiver::willing(), topics.iter().cloned()).unwrap()
}

#[test]
fn a_buffer_that_is_not_whole_is_refused() {
    let of = || EventBuffer::new(MemoryStore::new()).of::<Teller>();
    for (buffer, why) in [
        (of(), "a destination"),
        (EventBuffer::new(MemoryStore::new()).to(to("ears", &[TOLD])), "needs a decider"),
        (of().to(to("ears", &[TOLD])), "the topic whispered goes nowhere"),
        (of().to(to("ears", &[TOLD, WHISPERED])).to(to("ears", &[TOLD])), "two destinations are called ears"),
        (of().to(to("ears", &[TOLD, WHISPERED, Topic::new("unknown")])), "unknown, which nobody sends"),
    ] {
        let error = buffer.processors().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn a_destination_that_breaks_a_bound_is_refused() {
    for name in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
        let error = Destination::new(name, Receiver::willing(), [TOLD]).unwrap_err();
        assert!(error.to_string().contains("name"), "{error}");
    }
    assert!(Destination::new("ears", Receiver::willing(), []).unwrap_err().to_string().contains("no topic"));
    for (settings, name) in [
        (DestinationSettings { at_once: 0, ..settings() }, "at_once"),
        (DestinationSettings { window: 0, ..settings() }, "window"),
        (DestinationSettings { timeout_ms: 0, ..settings() }, "timeout_ms"),
        (DestinationSettings { attempts: 0, ..settings() }, "attempts"),
        (DestinationSettings { failures: 0, ..settings() }, "failures"),
    ] {
        let error = to("ears", &[TOLD]).settings(settings).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    for source in ["", "a b", "a\n"] {
        assert!(to("ears", &[TOLD]).source(source).is_err());
    }
    assert!(Topic::parse("a b").is_err() && Topic::parse("").is_err());
}
