//! When one more is sent to carry what waits: at once where as much waits as is under way, and a little later otherwise.
//!
//! A call has a price of its own, however little it carries, so few large ones do more than many small ones. As in Nagle's
//! algorithm (RFC 896), what is under way sets the pace and no rate has to be known. The pause keeps a call that takes
//! long, say behind somebody's lock, from holding up what has nothing to do with it.

use crate::clock;
use crate::limits;

/// Those who carry, and what.
#[derive(Debug, Default)]
pub(super) struct Pace {
    carriers: usize,
    /// What they carry.
    under_way: usize,
    /// One of them has not begun yet.
    is_one_late: bool,
}

/// One who carries.
#[derive(Debug)]
pub(super) struct Turn {
    is_late: bool,
    carries: usize,
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
        let is_late = waiting < self.under_way;
        if self.carriers >= most || (is_late && self.is_one_late) {
            return None;
        }
        self.is_one_late |= is_late;
        self.carriers = self.carriers.saturating_add(1);
        Some(Turn { is_late, carries: 0 })
    }

    /// It has brought what it carried, and takes so much now.
    pub(super) fn takes(&mut self, turn: &mut Turn, carries: usize) {
        self.begins(turn);
        self.under_way = self.under_way.saturating_sub(turn.carries).saturating_add(carries);
        turn.carries = carries;
    }

    /// It goes. Whether nobody is left.
    pub(super) fn ends(&mut self, turn: &mut Turn) -> bool {
        self.takes(turn, 0);
        self.carriers = self.carriers.saturating_sub(1);
        self.is_idle()
    }

    /// Whether nobody carries anything.
    pub(super) fn is_idle(&self) -> bool {
        self.carriers == 0
    }

    fn begins(&mut self, turn: &mut Turn) {
        if std::mem::take(&mut turn.is_late) {
            self.is_one_late = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_is_sent_at_once_where_as_much_waits_as_is_under_way() {
        let mut pace = Pace::default();
        let mut first = pace.send(1, 3).expect("nobody is under way");
        assert!(!first.is_late);
        pace.takes(&mut first, 8);
        let mut late = pace.send(7, 3).expect("one comes later");
        assert!(late.is_late);
        assert!(pace.send(7, 3).is_none(), "one such is enough");
        assert!(pace.send(8, 3).is_some_and(|turn| !turn.is_late));
        assert!(pace.send(99, 3).is_none(), "three are there");
        pace.takes(&mut late, 7);
        assert!(pace.send(14, 4).is_some_and(|turn| turn.is_late), "15 are under way");
    }

    #[test]
    fn nothing_is_under_way_once_all_have_gone() {
        let mut pace = Pace::default();
        let mut first = pace.send(1, 2).expect("sent");
        pace.takes(&mut first, 5);
        let mut second = pace.send(1, 2).expect("sent");
        assert!(!pace.ends(&mut second) && pace.ends(&mut first));
        assert!(pace.send(1, 2).is_some_and(|turn| !turn.is_late));
    }
}
