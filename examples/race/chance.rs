//! Dice.

/// Random numbers of a task's own (xorshift64*, Vigna 2014).
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new() -> Self {
        let (high, low) = uuid::Uuid::now_v7().as_u64_pair();
        Self(high ^ low | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % bound.max(1)
    }

    /// True in this share of all cases.
    pub(crate) fn is(&mut self, share: f64) -> bool {
        const STEPS: u32 = 1 << 30;
        let drawn = u32::try_from(self.below(u64::from(STEPS))).unwrap_or(0);
        f64::from(drawn) < share * f64::from(STEPS)
    }
}
