//! The conformance suite: each sentence under *An implementation must* of [`EventStore`] is a test.
//!
//! An author of a store writes one line, and failures show by the sentence's name:
//!
//! ```
//! use sidestream::store::memory::MemoryStore;
//!
//! async fn fresh_store() -> MemoryStore {
//!     MemoryStore::new()
//! }
//! sidestream::conformance!(fresh_store);
//! # fn main() {}
//! ```
//!
//! `fresh_store` gives a [`Fixture`]: one new, empty store that can be closed and opened again. The suite
//! asks the store which [`Atomicity`](crate::store::Atomicity) it has; what makes no sense for it, or
//! needs a hook that the fixture does not have, is skipped with a line on standard error. It asks for the
//! [`LogScope`](crate::store::LogScope), too: where side streams have a log apart, nothing is skipped, but
//! what the logs must show, and how positions count, is told from that.
//!
//! The idea of one exported suite that every backend passes is River's (`riverdrivertest`) and
//! `eventsourcing`'s (`testsuite`).

use std::io::Write as _;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::store::EventStore;
use crate::store::memory::MemoryStore;
use crate::stream::{StreamName, Version};

pub mod append;
pub mod bounds;
pub mod chain;
pub mod close;
pub mod concurrency;
pub mod differential;
pub mod hold;
pub mod logs;
pub mod open_steps;
pub mod order;
pub mod properties;
pub mod read_rows;
pub mod read_streams;
pub mod rows;
pub mod truncate;

mod records;
mod row_records;

/// One new store, closed and opened again at will, with hooks for what cannot be reached from outside.
#[async_trait]
pub trait Fixture: Send + Sync + 'static {
    /// Whether the store can be had here; `false` skips the suite, and whoever says it says why.
    fn is_available(&self) -> bool {
        true
    }

    /// Opens the store: empty at first, and later with everything that was acknowledged.
    ///
    /// The suite drops whatever it got from here before it opens again.
    async fn open(&self) -> Arc<dyn EventStore>;

    /// Sets the store's clock, backwards too; `false` where it has none that can be set.
    async fn set_clock(&self, _now: Timestamp) -> bool {
        false
    }

    /// Lets the store lose the outcome of the next append, done or not; `false` where it cannot.
    async fn lose_next_outcome(&self) -> bool {
        false
    }

    /// Changes the payload of a stored record behind the store's back; `false` where it cannot.
    async fn alter(&self, _stream: &StreamName, _version: Version) -> bool {
        false
    }

    /// Damages a stored stream so that it cannot be read at all; `false` where it cannot.
    async fn make_unreadable(&self, _stream: &StreamName) -> bool {
        false
    }
}

#[async_trait]
impl Fixture for MemoryStore {
    async fn open(&self) -> Arc<dyn EventStore> {
        Arc::new(self.clone())
    }
}

/// Says which part of the suite is skipped, and why, past the test harness's capture.
fn skip(what: &str, why: &str) {
    // A closed standard error must not fail a test that has nothing to do with it.
    drop(writeln!(std::io::stderr(), "conformance: skipped {what}: {why}"));
}

/// The conformance suite as tests, one for each sentence of the contract of
/// [`EventStore`](crate::EventStore). Its argument is an async function without arguments that gives a
/// [`Fixture`](crate::testkit::conformance::Fixture), named without `super::` or `self::`: it is used in
/// modules below. Use the macro once in a module.
#[macro_export]
macro_rules! conformance {
    ($fresh:expr) => {
        $crate::__conformance_tests! { $fresh;
            properties {
                answers_the_same_on_every_instance
            }
            append {
                commits_each_unit_whole_or_not_at_all
                commits_messages_with_their_aggregate_or_not_at_all
                a_dropped_append_is_done_whole_or_not_at_all
                answers_ok_only_when_the_unit_is_durable
                commits_a_unit_only_when_every_stream_is_at_the_expected_version
                answers_unknown_where_the_outcome_is_not_certain
                stores_the_checksum_and_every_field_as_given
            }
            bounds {
                refuses_a_unit_that_breaks_a_bound
                takes_a_unit_at_each_bound
                refuses_a_list_that_is_too_long
            }
            chain {
                treats_units_that_share_a_stream_as_a_chain
                a_chain_runs_through_units_of_several_streams
                units_that_share_no_stream_succeed_and_fail_apart
            }
            order {
                gives_versions_and_positions_without_gaps_in_commit_order
                stamps_a_unit_with_a_time_that_never_goes_back
            }
            concurrency {
                each_expected_version_has_exactly_one_winner
                versions_and_positions_stay_gapless_under_concurrent_appends
                never_shows_a_record_before_one_with_a_lower_position
                shows_no_unit_that_is_not_durable
            }
            read_streams {
                shows_every_acknowledged_unit_whole
                returns_records_by_version_without_gaps_up_to_the_limit
                returns_the_latest_snapshot_and_what_follows
                returns_altered_records_as_they_are_stored
                fails_only_the_reads_of_streams_that_cannot_be_read
            }
            logs {
                returns_records_by_position_up_to_the_limit
                shows_the_streams_that_its_scope_names
                reading_types_is_filtering_the_log
                reading_types_moves_on_to_the_head
            }
            open_steps {
                lists_a_step_from_its_request_to_its_settlement
                carries_the_numbers_of_requested_and_of_the_latest_resumed
                returns_pages_in_a_fixed_order
                lists_every_open_step_where_no_age_is_asked_for
            }
            truncate {
                removes_nothing_after_through_and_nothing_above_the_head
                leaves_everything_else_as_it_is_and_shows_the_floor
                never_lowers_a_floor
            }
            rows {
                commits_a_unit_only_when_every_row_is_as_expected
                commits_records_and_rows_together_or_not_at_all
                a_dropped_unit_with_rows_is_done_whole_or_not_at_all
                treats_units_that_share_a_row_as_a_chain
                gives_numbers_that_are_never_used_again
                keeps_nothing_of_a_row_that_is_forgotten
                tells_the_expiry_of_rows_by_its_own_clock
                rows_wait_for_nobody_who_writes_records
                each_free_row_has_exactly_one_claimer
                units_of_several_rows_never_lock_each_other_out
                refuses_a_unit_whose_rows_break_a_bound
            }
            read_rows {
                shows_every_row_as_the_last_unit_left_it
                leaves_removed_rows_out_and_returns_the_others_by_key
                returns_what_follows_of_a_prefix
                tells_its_own_time_at_a_read_of_rows
                refuses_a_read_of_rows_that_breaks_a_bound
            }
            close {
                stamps_every_later_unit_after_the_time
                shows_every_record_at_or_before_the_time
                never_answers_an_earlier_time
                answers_the_time_asked_for_or_its_own
                answers_only_when_closing_is_durable
            }
            hold {
                nobody_else_writes_while_a_partition_is_held
                lets_go_of_a_partition_that_is_dropped
            }
        }
    };
}

/// The expansion of [`conformance!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($fresh:expr; $($module:ident { $($sentence:ident)* })*) => {
        $(
            mod $module {
                #[allow(unused_imports, reason = "the argument may be a full path")]
                use super::*;
                $(
                    #[test]
                    fn $sentence() {
                        $crate::testkit::run(async {
                            let fixture = ($fresh)().await;
                            if $crate::testkit::conformance::Fixture::is_available(&fixture) {
                                $crate::testkit::conformance::$module::$sentence(&fixture).await;
                            }
                        });
                    }
                )*
            }
        )*
        mod differential {
            #[allow(unused_imports, reason = "the argument may be a full path")]
            use super::*;
            #[test]
            fn does_what_the_store_in_memory_does() {
                $crate::testkit::conformance::differential::does_what_the_store_in_memory_does($fresh);
            }
        }
    };
}
