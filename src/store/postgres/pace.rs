//! When a call goes beside others: at once where enough waits for it, and a little later otherwise.
//!
//! A call has a price of its own, however little it carries, so few large ones do more than many small ones. As in Nagle's
//! algorithm (RFC 896), what is under way sets the pace and no rate has to be known. The pause keeps a call that takes
//! long, say because its commit waits for a standby, from holding up what has nothing to do with it.

use crate::clock;
use crate::limits;

/// How many carry.
#[derive(Debug, Default)]
pub(super) struct Pace {
    carriers: usize,
    /// One of them pauses, and begins afterwards with whatever waits then.
    is_one_late: bool,
}

/// One who carries.
#[derive(Debug)]
pub(super) struct Turn {
    is_late: bool,
}

impl Turn {
    /// Waits until it may begin.
    pub(super) async fn come(&self) {
        if self.is_late {
            clock::sleep(limits::CARRIER_PAUSE).await;
        }
    }
}

impl Pace {
    /// Sends one where so much waits and `most` may be on their way; none where whoever is will come by.
    pub(super) fn send(&mut self, waiting: usize, most: usize) -> Option<Turn> {
        let is_late = !is_worth_it(waiting, self.awake());
        if self.carriers >= most || (is_late && self.is_one_late) {
            return None;
        }
        self.is_one_late |= is_late;
        self.carriers = self.carriers.saturating_add(1);
        Some(Turn { is_late })
    }

    /// It begins, however late.
    pub(super) fn begins(&mut self, turn: &mut Turn) {
        if std::mem::take(&mut turn.is_late) {
            self.is_one_late = false;
        }
    }

    /// It has brought what it carried, and so much waits. Whether it goes on, perhaps after a pause; it goes where the
    /// others will come by.
    pub(super) fn goes_on(&mut self, turn: &mut Turn, waiting: usize) -> bool {
        if is_worth_it(waiting, self.awake().saturating_sub(1)) {
            return true;
        }
        turn.is_late = waiting > 0 && !self.is_one_late;
        if turn.is_late {
            self.is_one_late = true;
        } else {
            self.ends(turn);
        }
        turn.is_late
    }

    /// It goes.
    pub(super) fn ends(&mut self, turn: &mut Turn) {
        self.begins(turn);
        self.carriers = self.carriers.saturating_sub(1);
    }

    /// Whether nobody carries anything.
    pub(super) fn is_idle(&self) -> bool {
        self.carriers == 0
    }

    fn awake(&self) -> usize {
        self.carriers.saturating_sub(usize::from(self.is_one_late))
    }
}

/// Whether so much is worth a call beside those of so many others.
fn is_worth_it(waiting: usize, others: usize) -> bool {
    waiting >= if others == 0 { 1 } else { limits::CALL_LOAD }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOUGH: usize = limits::CALL_LOAD;

    #[test]
    fn one_more_is_sent_at_once_where_enough_waits() {
        let mut pace = Pace::default();
        assert!(pace.send(1, 3).is_some_and(|first| !first.is_late), "nobody is under way");
        let mut late = pace.send(ENOUGH - 1, 3).expect("one comes later");
        assert!(late.is_late);
        assert!(pace.send(ENOUGH - 1, 3).is_none(), "one such is enough");
        assert!(pace.send(ENOUGH, 3).is_some_and(|turn| !turn.is_late));
        assert!(pace.send(9 * ENOUGH, 3).is_none(), "three are there");
        pace.begins(&mut late);
        assert!(pace.send(ENOUGH - 1, 4).is_some_and(|turn| turn.is_late), "another one comes later");
    }

    #[test]
    fn whoever_is_not_needed_beside_others_pauses_or_goes() {
        let mut pace = Pace::default();
        let mut turns: Vec<_> = (0..3).filter_map(|_| pace.send(ENOUGH, 3)).collect();
        let (mut last, mut second, mut first) = (turns.remove(2), turns.remove(1), turns.remove(0));
        assert!(pace.goes_on(&mut last, ENOUGH) && !last.is_late, "enough waits");
        assert!(pace.goes_on(&mut last, 1) && last.is_late, "it comes later");
        assert!(!pace.goes_on(&mut second, 1), "one who pauses is enough");
        assert!(pace.goes_on(&mut first, 1) && !first.is_late, "nobody else is awake");
        assert!(!pace.goes_on(&mut first, 0), "nothing waits");
        pace.begins(&mut last);
        assert!(!pace.goes_on(&mut last, 0) && pace.is_idle());
    }

    #[test]
    fn one_who_goes_while_it_pauses_leaves_nothing_behind() {
        let mut pace = Pace::default();
        let mut first = pace.send(1, 2).expect("sent");
        let mut late = pace.send(1, 2).expect("sent");
        pace.ends(&mut late);
        pace.ends(&mut first);
        assert!(pace.is_idle() && pace.send(1, 2).is_some_and(|turn| !turn.is_late));
    }
}
