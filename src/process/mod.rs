//! Process managers: what has to happen elsewhere, because something happened here.
//!
//! A transfer takes from one account and gives to another; the two may lie in different databases, and no commit spans
//! them. A process does it step by step: it hears what became of each step, and asks for the next one, or undoes what was
//! done. [`ProcessManager`] is what a user writes, [`Dispatch`] carries out what it asks for, [`Processes`] puts both
//! together.
//!
//! ```text
//!  begin, events elsewhere, deadlines, answers
//!     │  an input, under a transaction id derived from where it comes from
//!     ▼
//!  the process's own stream: Heard(input), and in the same unit
//!     │  what is asked for, and what is published: messages
//!     ▼
//!  event buffer, in order for each process ──► Dispatch ──► front doors of aggregates ──► an answer, heard as above
//!                                          └─► a deadline, kept beside the log until its time has come
//! ```
//!
//! Each arrow may be gone along twice, after a crash; each end of one knows what it has seen before. So every input is
//! heard once, and every command has its effect once, for ever.

mod asked;
mod deadlines;
mod deciding;
mod dispatch;
mod event;
mod listener;
mod manager;
mod processes;
mod timekeeper;

pub use deciding::{Deciding, ProcessState};
pub use dispatch::Dispatch;
pub use event::ProcessEvent;
pub use manager::{Asked, ProcessManager, Reaction};
pub use processes::{Builder, Processes};
