//! Where the commands of a run come from: clients in this process, or in processes of their own.

use crate::cli::bench::counts::Counts;
use crate::cli::bench::crew::Round;
use crate::cli::bench::here::Here;
use crate::cli::bench::shift::Course;
use crate::cli::bench::workers::Workers;
use crate::cli::failure::Failure;

/// All clients, wherever they are.
#[derive(Debug)]
pub(super) enum Load {
    Here(Box<Here>),
    Processes(Workers),
}

impl Load {
    /// Sends so many commands and waits for all answers.
    pub(super) async fn round(&mut self, commands: u64) -> Result<Round, Failure> {
        match self {
            Self::Here(here) => here.round(commands).await,
            Self::Processes(workers) => workers.round(commands).await,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        match self {
            Self::Here(here) => here.counts(),
            Self::Processes(workers) => workers.counts(),
        }
    }

    /// Commands a second in each tenth.
    pub(super) fn parts(&self, course: &Course) -> Vec<f64> {
        match self {
            Self::Here(_) => course.parts(),
            Self::Processes(workers) => workers.parts(),
        }
    }

    /// Ends the clients.
    pub(super) fn end(self) -> Result<(), Failure> {
        match self {
            Self::Here(_) => Ok(()),
            Self::Processes(workers) => workers.end(),
        }
    }
}
