//! The few names that the model needs: three steps, and two contents for each.

use sidestream::StepName;
use sidestream::id::Fingerprint;
use sidestream::protocol::Goal;

/// A step of the one transaction that is modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Reserves money.
    Hold,
    /// Takes what is held; excludes a release.
    Capture,
    /// Gives back what is held; excludes a capture.
    Release,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hold, Self::Capture, Self::Release];

    /// The name that the protocol knows it by.
    #[must_use]
    pub const fn name(self) -> StepName {
        match self {
            Self::Hold => StepName::new("hold"),
            Self::Capture => StepName::new("capture"),
            Self::Release => StepName::new("release"),
        }
    }

    /// The step of a name.
    ///
    /// # Panics
    /// When the protocol makes names up.
    #[must_use]
    pub fn of(name: &StepName) -> Self {
        match name.as_str() {
            "hold" => Self::Hold,
            "capture" => Self::Capture,
            "release" => Self::Release,
            other => panic!("no step of this model: {other}"),
        }
    }

    /// What a client asks for with it.
    #[must_use]
    pub const fn content(self) -> Fingerprint {
        Fingerprint::from_bytes([self as u8 + 1; 16])
    }

    /// What another client asks for under the same name.
    #[must_use]
    pub const fn other_content(self) -> Fingerprint {
        Fingerprint::from_bytes([self as u8 + 101; 16])
    }
}

/// A client that waits for the outcome.
#[must_use]
pub const fn handle(step: Step) -> Goal {
    Goal::Handle { step: step.name(), fingerprint: step.content() }
}

/// A client that uses a known step for another content.
#[must_use]
pub const fn handle_other(step: Step) -> Goal {
    Goal::Handle { step: step.name(), fingerprint: step.other_content() }
}

/// A client that does not wait.
#[must_use]
pub const fn submit(step: Step) -> Goal {
    Goal::Submit { step: step.name(), fingerprint: step.content() }
}

/// The recovery sweep.
#[must_use]
pub const fn recover() -> Goal {
    Goal::Recover
}

/// An operator who refuses.
#[must_use]
pub const fn overrule(step: Step) -> Goal {
    Goal::Overrule { step: step.name() }
}
