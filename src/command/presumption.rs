//! What a lane presumes, to spare a read: that a transaction that comes in is new, and that a state in memory is the
//! stream's last. Each is kept up while it hardly ever turns out wrong.
//!
//! Nothing rests on either. A side stream's first record demands that there is none, and an aggregate's next one that it
//! is the next, so whoever presumed wrong has its append refused, and reads. To the protocol that is an attempt which
//! read before anybody else wrote, and then slept.

/// What one time that it was wrong weighs against times that it was right.
const WRONG: u32 = 64;
/// From here on it is read. It falls by one with each time that it was right, so where more than one of 65 is wrong,
/// nothing is presumed for long.
const DOUBT: u32 = 64;
/// However often it was wrong, after being right so many times it is presumed again.
const MOST: u32 = 1_024;

/// How a presumption did lately.
#[derive(Debug, Default)]
pub(super) struct Presumption {
    wrong_lately: u32,
}

impl Presumption {
    /// Whether it is presumed.
    pub(super) fn holds(&self) -> bool {
        self.wrong_lately < DOUBT
    }

    /// Takes in what a round came across.
    pub(super) fn saw(&mut self, met: Met) {
        let more = self.wrong_lately.saturating_add(met.wrong.saturating_mul(WRONG));
        self.wrong_lately = more.min(MOST).saturating_sub(met.right);
    }
}

/// How often it was right in a round, or would have been.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Met {
    pub(super) wrong: u32,
    pub(super) right: u32,
}

impl Met {
    /// Counts one.
    pub(super) fn count(&mut self, right: bool) {
        let counter = if right { &mut self.right } else { &mut self.wrong };
        *counter = counter.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_presumes_while_it_is_hardly_ever_wrong() {
        let mut presumption = Presumption::default();
        assert!(presumption.holds());
        presumption.saw(Met { wrong: 1, right: 0 });
        assert!(!presumption.holds());
        presumption.saw(Met { wrong: 0, right: 1 });
        assert!(presumption.holds());
        presumption.saw(Met { wrong: u32::MAX, right: 0 });
        presumption.saw(Met { wrong: 0, right: 960 });
        assert!(!presumption.holds());
        presumption.saw(Met { wrong: 0, right: 1 });
        assert!(presumption.holds(), "whatever came, it presumes again in the end");
        (0..100).for_each(|_| presumption.saw(Met { wrong: 1, right: 9 }));
        assert!(!presumption.holds(), "one of ten is wrong");
        (0..100).for_each(|_| presumption.saw(Met { wrong: 1, right: 999 }));
        assert!(presumption.holds(), "one of a thousand is wrong");
    }
}
