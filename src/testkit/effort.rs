//! How much a randomised test tries, from the environment variable `SIDESTREAM_EFFORT`.

use proptest::test_runner::{Config, FileFailurePersistence};

/// The variable that chooses the effort: `quick`, `ci` or `long`.
pub const VARIABLE: &str = "SIDESTREAM_EFFORT";

/// How much a randomised test tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Effort {
    /// A tenth, while writing code.
    Quick,
    /// What every change has to pass.
    #[default]
    Ci,
    /// Ten times as much, over night.
    Long,
}

impl Effort {
    /// The effort that the environment asks for; [`Effort::Ci`] where it says nothing.
    ///
    /// # Panics
    /// When the variable has another value: a run that tries less than was asked for proves nothing.
    #[must_use]
    pub fn from_env() -> Self {
        match std::env::var(VARIABLE) {
            Ok(name) => Self::named(&name).unwrap_or_else(|| panic!("{VARIABLE}={name}: quick, ci or long")),
            Err(_) => Self::Ci,
        }
    }

    /// The effort of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "quick" => Some(Self::Quick),
            "ci" | "" => Some(Self::Ci),
            "long" => Some(Self::Long),
            _ => None,
        }
    }

    /// How many cases are tried where `ci` tries so many; at least one.
    #[must_use]
    pub fn of(self, ci: u32) -> u32 {
        match self {
            Self::Quick => (ci / 10).max(1),
            Self::Ci => ci.max(1),
            Self::Long => ci.saturating_mul(10).max(1),
        }
    }
}

/// How many cases this run tries where `ci` tries so many.
///
/// # Panics
/// As [`Effort::from_env`].
#[must_use]
pub fn cases(ci: u32) -> u32 {
    Effort::from_env().of(ci)
}

/// A configuration for proptest: the number of cases by effort, failing seeds kept in `seeds`, a file
/// relative to the package's folder, such as `proptest-regressions/ledger.txt`.
///
/// # Panics
/// As [`Effort::from_env`].
#[must_use]
pub fn proptest_config(ci: u32, seeds: &'static str) -> Config {
    Config {
        cases: cases(ci),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(seeds))),
        ..Config::default()
    }
}
