//! `sidestream copy`: what was acknowledged before a move is true after it, wherever it was cut short.

#[path = "../../postgres/database.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod database;
#[path = "../../../examples/payments/rules.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod rules;

mod histories;
mod killed;
mod life;
mod live;
mod moved;
pub mod place;
mod refusals;

pub use life::on_threads;
