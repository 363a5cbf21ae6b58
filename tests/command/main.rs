//! The command handler, seen from outside.
#![allow(missing_docs, clippy::arithmetic_side_effects)]

#[path = "../../examples/payments/rules.rs"]
#[allow(dead_code, reason = "not every test binary uses all of the rules")]
mod rules;

mod front_door;
