//! What goes wrong with which call.

use std::collections::BTreeMap;

/// How much of an append is done before its fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Done {
    /// Nothing.
    Nothing,
    /// So many units from the front of the list; the others never are.
    Units(usize),
    /// Everything.
    All,
}

impl Done {
    pub(super) fn of(self, units: usize) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Units(first) => first.min(units),
            Self::All => units,
        }
    }
}

/// What goes wrong with one call. A read has no unknown outcome: what loses an append's answer makes a
/// read fail as [`Fault::Unavailable`] does. A truncation and a closing count as a list of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing is done, and the answer says so.
    Unavailable,
    /// So much is done, and all answers are lost.
    Unknown(Done),
    /// So many units are done and answered; the others are not done, and their answers are lost.
    UnknownFrom(usize),
    /// The answer is lost, and all of it is done just before the so-manieth call from now, whichever process
    /// makes that; the process may be dead by then. Zero counts as one.
    Late(u64),
    /// The call waits for so many turns of the scheduler first. Others may overtake it.
    Delay(u32),
    /// So much is done, and the process dies: this call and all later ones never return.
    Crash(Done),
}

/// Faults by call number, from 1, or by chance from a seed.
#[derive(Debug, Clone, Default)]
pub struct Script {
    calls: BTreeMap<u64, Fault>,
    appends: BTreeMap<u64, Fault>,
    random: Option<(u64, Rates)>,
}

/// How many of a thousand calls meet each kind of fault in a random script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// [`Fault::Unavailable`].
    pub unavailable: u16,
    /// [`Fault::Unknown`] and [`Fault::UnknownFrom`].
    pub unknown: u16,
    /// [`Fault::Late`], by up to 20 calls.
    pub late: u16,
    /// [`Fault::Delay`], by up to 10 turns.
    pub delay: u16,
    /// [`Fault::Crash`].
    pub crash: u16,
}

impl Default for Rates {
    fn default() -> Self {
        Self { unavailable: 50, unknown: 60, late: 30, delay: 60, crash: 20 }
    }
}

impl Script {
    /// No faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Faults by chance, as often as `rates` say: a function of the seed and the call's number, so that
    /// the same calls meet the same faults.
    #[must_use]
    pub fn random(seed: u64, rates: Rates) -> Self {
        Self { random: Some((seed, rates)), ..Self::default() }
    }

    /// Adds a fault for the `number`-th call of any method.
    #[must_use]
    pub fn call(mut self, number: u64, fault: Fault) -> Self {
        self.calls.insert(number, fault);
        self
    }

    /// Adds a fault for the `number`-th append. Where the call has one too, this one is met.
    #[must_use]
    pub fn append(mut self, number: u64, fault: Fault) -> Self {
        self.appends.insert(number, fault);
        self
    }

    pub(super) fn fault(&self, call: u64, append: Option<u64>) -> Option<Fault> {
        append
            .and_then(|number| self.appends.get(&number))
            .or_else(|| self.calls.get(&call))
            .copied()
            .or_else(|| self.random.and_then(|(seed, rates)| rates.draw(seed, call)))
    }
}

impl Rates {
    fn draw(self, seed: u64, call: u64) -> Option<Fault> {
        let chance = mix(seed ^ mix(call));
        let detail = mix(chance);
        let mut left = chance % 1_000;
        let mut hits = |rate: u16| {
            let hit = left < u64::from(rate);
            left = left.saturating_sub(u64::from(rate));
            hit
        };
        if hits(self.unavailable) {
            Some(Fault::Unavailable)
        } else if hits(self.unknown) {
            Some(if detail.is_multiple_of(4) {
                Fault::UnknownFrom(small(detail / 4, 4))
            } else {
                Fault::Unknown(done(detail / 4))
            })
        } else if hits(self.late) {
            Some(Fault::Late(detail % 20 + 1))
        } else if hits(self.delay) {
            Some(Fault::Delay(u32::try_from(detail % 10 + 1).expect("small")))
        } else if hits(self.crash) {
            Some(Fault::Crash(done(detail)))
        } else {
            None
        }
    }
}

fn done(detail: u64) -> Done {
    match detail % 3 {
        0 => Done::Nothing,
        1 => Done::All,
        _ => Done::Units(small(detail / 3, 4)),
    }
}

fn small(number: u64, below: u64) -> usize {
    usize::try_from(number % below).expect("small")
}

/// SplitMix64's finisher (Steele, Lea and Flood, 2014): enough to spread seeds and counters.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
