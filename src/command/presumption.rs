//! Whether a transaction that comes in is presumed to be new, which spares the read of its side stream.
//!
//! Nothing rests on it: the side stream's first record demands that there is none, so whoever presumed wrong has its
//! append refused, and reads. To the protocol that is an attempt which read before anybody else wrote, and then slept.

/// What one known transaction weighs against new ones.
const KNOWN: u32 = 64;
/// From here on each is looked up. It falls by one with each that is new, so where more than one of 65 is known,
/// nothing is presumed for long.
const DOUBT: u32 = 64;
/// However many known ones came, so many new ones later it is presumed again.
const MOST: u32 = 1_024;

/// What a lane has seen lately.
#[derive(Debug, Default)]
pub(super) struct Presumption {
    known_lately: u32,
}

impl Presumption {
    /// Whether the next transaction is presumed to be new.
    pub(super) fn is_new(&self) -> bool {
        self.known_lately < DOUBT
    }

    /// Takes in what a round came across.
    pub(super) fn saw(&mut self, met: Met) {
        let more = self.known_lately.saturating_add(met.known.saturating_mul(KNOWN));
        self.known_lately = more.min(MOST).saturating_sub(met.new);
    }
}

/// The transactions that a round came across.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Met {
    pub(super) known: u32,
    pub(super) new: u32,
}

impl Met {
    /// Counts one.
    pub(super) fn count(&mut self, known: bool) {
        let counter = if known { &mut self.known } else { &mut self.new };
        *counter = counter.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_presumes_while_hardly_any_is_known() {
        let mut presumption = Presumption::default();
        assert!(presumption.is_new());
        presumption.saw(Met { known: 1, new: 0 });
        assert!(!presumption.is_new());
        presumption.saw(Met { known: 0, new: 1 });
        assert!(presumption.is_new());
        presumption.saw(Met { known: u32::MAX, new: 0 });
        presumption.saw(Met { known: 0, new: 960 });
        assert!(!presumption.is_new());
        presumption.saw(Met { known: 0, new: 1 });
        assert!(presumption.is_new(), "whatever came, it presumes again in the end");
        (0..100).for_each(|_| presumption.saw(Met { known: 1, new: 9 }));
        assert!(!presumption.is_new(), "one of ten is known");
        (0..100).for_each(|_| presumption.saw(Met { known: 1, new: 999 }));
        assert!(presumption.is_new(), "one of a thousand is known");
    }
}
