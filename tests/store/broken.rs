//! The suite can fail: a store that breaks one rule does not pass the test of that rule.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use sidestream::clock::Timestamp;
use sidestream::error::Result;
use sidestream::event::EventType;
use sidestream::partition::PartitionId;
use sidestream::store::memory::MemoryStore;
use sidestream::store::rows::{RowChange, RowExpected, RowSelection, RowWrite, RowsPage, RowsRead};
use sidestream::store::{
    AppendFailure, Atomicity, Committed, EventStore, LogPage, OpenStep, OpenStepsRead, ReadFrom,
    StoreProperties, StreamPage, StreamRead, Unit, UnitResult,
};
use sidestream::stream::{ExpectedVersion, Position, StreamName, Version};
use sidestream::testkit::conformance::{self, Fixture};
use sidestream::testkit::run;

use crate::memory::Clocked;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// None: the control. What fails without a broken rule proves nothing.
    Nothing,
    AnotherIdEachTime,
    TearsUnits,
    ForgetsWhenClosed,
    LosesAUnit,
    ForgetsExpectedVersions,
    ReportsAnotherVersion,
    ForgetsTheRequester,
    ShortensPayloads,
    TakesAnything,
    TakesLongLists,
    IgnoresChains,
    FailsListsWhole,
    MisplacesUnits,
    TurnsAppendsAround,
    TimeGoesBack,
    HidesTheLastRecordForAWhile,
    PagesWithoutLimit,
    HeadOfThePage,
    SnapshotAt,
    SnapshotTheFirst,
    MixesUpAnswers,
    TypesTurnedAround,
    TypesByPrefix,
    TypesStandStill,
    ForgetsResumedSteps,
    ForgetsScannedTo,
    ListsOtherCategories,
    IgnoresAfter,
    ClockHidesSteps,
    RemovesOneMore,
    RemovesAboveTheHead,
    HidesTheFloor,
    LowersTheFloor,
    ForgetsExpectedRows,
    ForgetsRowsWithoutRecords,
    ReusesNumbers,
    LivesForEver,
    RemovesWhatIsForgotten,
    ListsRemovedRows,
    IgnoresPrefixes,
    RowsWithoutBounds,
    TellsAnotherTime,
    ClosesNothing,
    ClosingGoesBack,
    ClosesTooEarly,
    SplitsMessagesOff,
}

struct Broken {
    rule: Rule,
    store: Clocked,
    opened: AtomicU64,
}

fn with(rule: Rule) -> Broken {
    Broken { rule, store: Clocked::new(16, Atomicity::Batch), opened: AtomicU64::new(0) }
}

#[async_trait]
impl Fixture for Broken {
    async fn open(&self) -> Arc<dyn EventStore> {
        let instance = self.opened.fetch_add(1, Ordering::SeqCst);
        let inner = match self.rule {
            Rule::ForgetsWhenClosed => Arc::new(MemoryStore::new()),
            _ => self.store.open().await,
        };
        Arc::new(BrokenStore { rule: self.rule, inner, instance, calls: AtomicU64::new(0) })
    }

    async fn set_clock(&self, now: Timestamp) -> bool {
        self.store.set_clock(now).await
    }
}

#[derive(Debug)]
struct BrokenStore {
    rule: Rule,
    inner: Arc<dyn EventStore>,
    instance: u64,
    calls: AtomicU64,
}

impl BrokenStore {
    fn each(&self, units: Vec<Unit>) -> Vec<Unit> {
        units.into_iter().map(|unit| self.changed(unit)).collect()
    }

    fn changed(&self, mut unit: Unit) -> Unit {
        match self.rule {
            Rule::ForgetsTheRequester => records(&mut unit).for_each(|record| record.requester = None),
            Rule::ShortensPayloads => {
                records(&mut unit).for_each(|record| record.payload.truncate(1_000_000));
            }
            Rule::ForgetsExpectedVersions => {
                unit.appends.iter_mut().for_each(|append| append.expected = ExpectedVersion::Any);
            }
            Rule::TakesAnything => records(&mut unit).for_each(|record| {
                record.requester = None;
                record.payload = Bytes::new();
            }),
            Rule::TurnsAppendsAround => unit.appends.reverse(),
            Rule::ForgetsExpectedRows => {
                unit.rows.iter_mut().for_each(|write| write.expected = RowExpected::Any);
            }
            Rule::ForgetsRowsWithoutRecords if unit.is_empty() => unit.rows.clear(),
            Rule::ReusesNumbers => unit.rows.iter_mut().for_each(unclaimed),
            Rule::LivesForEver => unit.rows.iter_mut().for_each(for_ever),
            Rule::RemovesWhatIsForgotten => unit.rows.iter_mut().for_each(removed),
            Rule::SplitsMessagesOff => unit.appends.truncate(1),
            Rule::RowsWithoutBounds => {
                unit.rows.truncate(256);
                unit.rows.dedup_by(|a, b| a.key == b.key);
            }
            _ => {}
        }
        unit
    }

    /// Units one by one, as if each were a list.
    async fn one_by_one(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        let mut results = Vec::new();
        for unit in units {
            results.extend(self.inner.append(partition, vec![unit]).await);
        }
        results
    }

    async fn torn(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        let mut results = Vec::new();
        for unit in units {
            let parts = unit.appends.into_iter().map(Unit::one).collect();
            let parts = self.one_by_one(partition, parts).await;
            let failed = parts.iter().find(|part| part.is_err()).cloned();
            results.push(failed.unwrap_or_else(|| parts[0].clone()));
        }
        results
    }

    async fn whole_lists(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        let trial = MemoryStore::new();
        for (number, unit) in units.iter().enumerate() {
            let wrong = trial.append(partition, vec![unit.clone()]).await.remove(0);
            if let (Err(failure), true) = (wrong, number == 0) {
                return units.iter().map(|_| Err(failure.clone())).collect();
            }
        }
        self.inner.append(partition, units).await
    }

    fn answer(&self, result: UnitResult) -> UnitResult {
        match (self.rule, result) {
            (Rule::ReportsAnotherVersion, Err(AppendFailure::WrongVersion { stream, expected, found })) => {
                Err(AppendFailure::WrongVersion { stream, expected, found: found.next() })
            }
            (Rule::MisplacesUnits, Ok(Committed { recorded_at, .. })) => {
                Ok(Committed { first: Position::new(1), recorded_at })
            }
            (Rule::TimeGoesBack, Ok(Committed { first, recorded_at })) => {
                Ok(Committed { first, recorded_at: turned(recorded_at) })
            }
            (_, result) => result,
        }
    }

    fn page(&self, read: &StreamRead, mut page: StreamPage) -> StreamPage {
        match self.rule {
            Rule::HeadOfThePage => {
                page.head = page.records.last().map_or(page.floor, |record| record.version);
            }
            Rule::HidesTheFloor => page.floor = Version::EMPTY,
            Rule::SnapshotTheFirst if read.from == ReadFrom::SnapshotBefore(Version::MAX) => {
                page.snapshot = None;
            }
            _ => {}
        }
        page
    }
}

/// A claim as a mere change.
fn unclaimed(write: &mut RowWrite) {
    if let RowChange::Claim { value, lives } = &write.change {
        write.change = RowChange::Put { value: value.clone(), lives: *lives };
    }
}

fn removed(write: &mut RowWrite) {
    let forgets = write.change == RowChange::Forget;
    write.change = if forgets { RowChange::Remove } else { write.change.clone() };
}

fn for_ever(write: &mut RowWrite) {
    match &mut write.change {
        RowChange::Put { lives, .. } | RowChange::Claim { lives, .. } | RowChange::Extend { lives } => {
            *lives = None;
        }
        _ => {}
    }
}

fn turned(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(-time.as_micros())
}

fn records(unit: &mut Unit) -> impl Iterator<Item = &mut sidestream::event::NewRecord> {
    unit.appends.iter_mut().flat_map(|append| append.records.iter_mut())
}

#[async_trait]
impl EventStore for BrokenStore {
    fn properties(&self) -> StoreProperties {
        let mut properties = self.inner.properties();
        if self.rule == Rule::AnotherIdEachTime {
            properties.id = uuid::Uuid::from_u128(u128::from(self.instance));
        }
        properties
    }

    async fn append(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let units = self.each(units);
        let results = match self.rule {
            Rule::TearsUnits => self.torn(partition, units).await,
            Rule::FailsListsWhole => self.whole_lists(partition, units).await,
            Rule::IgnoresChains => self.one_by_one(partition, units).await,
            Rule::TakesLongLists if units.len() > 8_192 => self.one_by_one(partition, units).await,
            Rule::LosesAUnit if call % 5 == 4 => {
                let lost = Committed { first: Position::new(1), recorded_at: Timestamp::MAX };
                units.iter().map(|_| Ok(lost)).collect()
            }
            _ => self.inner.append(partition, units).await,
        };
        results.into_iter().map(|result| self.answer(result)).collect()
    }

    async fn read_streams(&self, mut reads: Vec<StreamRead>) -> Vec<Result<StreamPage>> {
        for read in &mut reads {
            match (self.rule, read.from) {
                (Rule::PagesWithoutLimit, _) => read.limit = usize::MAX,
                (Rule::SnapshotAt, ReadFrom::SnapshotBefore(version)) => {
                    read.from = ReadFrom::SnapshotBefore(version.next());
                }
                _ => {}
            }
        }
        let pages = self.inner.read_streams(reads.clone()).await;
        let mut pages: Vec<_> =
            reads.iter().zip(pages).map(|(read, page)| page.map(|page| self.page(read, page))).collect();
        if self.rule == Rule::MixesUpAnswers {
            pages.reverse();
        }
        pages
    }

    async fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        let limit = if self.rule == Rule::PagesWithoutLimit { usize::MAX } else { limit };
        let mut page = self.inner.read_log(partition, after, limit).await?;
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.rule == Rule::HidesTheLastRecordForAWhile && call.is_multiple_of(3) {
            page.records.pop();
        }
        if self.rule == Rule::TimeGoesBack {
            page.records.iter_mut().for_each(|record| record.recorded_at = turned(record.recorded_at));
        }
        Ok(page)
    }

    async fn read_types(
        &self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        let mut page = self.inner.read_types(partition, types, after, limit).await?;
        match (self.rule, page.records.last()) {
            (Rule::TypesTurnedAround, _) => page.records.reverse(),
            (Rule::TypesStandStill, last) => page.read_to = last.map_or(after, |last| last.position),
            (Rule::TypesByPrefix, _) => {
                let log = self.inner.read_log(partition, after, limit).await?;
                let begins = |name: &str| types.iter().any(|prefix| name.starts_with(prefix.as_str()));
                page = log;
                page.records.retain(|record| begins(record.data.event_type.as_str()));
            }
            _ => {}
        }
        Ok(page)
    }

    async fn open_steps(&self, mut read: OpenStepsRead) -> Result<Vec<OpenStep>> {
        if self.rule == Rule::ClockHidesSteps && read.older_than.is_zero() {
            // What an age of zero means to a store that asks its clock.
            read.older_than = std::time::Duration::from_nanos(1);
        }
        if self.rule == Rule::IgnoresAfter {
            read.after = None;
        }
        let mut steps = self.inner.open_steps(read.clone()).await?;
        match self.rule {
            Rule::ForgetsResumedSteps => steps.retain(|step| step.resumed == 0),
            Rule::ForgetsScannedTo => {
                steps.iter_mut().for_each(|step| step.scanned_to = step.aggregate_version);
            }
            Rule::ListsOtherCategories if read.category.starts_with("account") => {
                read.category = "walletTransaction".to_owned();
                steps.extend(self.inner.open_steps(read).await?);
            }
            _ => {}
        }
        Ok(steps)
    }

    async fn truncate(&self, stream: &StreamName, through: Version) -> Result<Version> {
        let read = StreamRead { stream: stream.clone(), from: ReadFrom::After(Version::EMPTY), limit: 0 };
        let head = self.inner.read_streams(vec![read]).await.remove(0)?.head;
        match self.rule {
            Rule::RemovesOneMore if through < head => self.inner.truncate(stream, through.next()).await,
            Rule::RemovesAboveTheHead => self.inner.truncate(stream, through.min(head)).await,
            Rule::LowersTheFloor => self.inner.truncate(stream, through).await.map(|_| through),
            _ => self.inner.truncate(stream, through).await,
        }
    }

    async fn rows(&self, mut read: RowsRead) -> Result<RowsPage> {
        if let (Rule::IgnoresPrefixes, RowSelection::Prefix { prefix, .. }) = (self.rule, &mut read.which) {
            prefix.clear();
        }
        let mut page = self.inner.rows(read.clone()).await?;
        if self.rule == Rule::TellsAnotherTime {
            page.at = Timestamp::MIN;
        }
        if self.rule == Rule::ListsRemovedRows
            && let RowSelection::Keys(keys) = &read.which
            && page.rows.len() < keys.len()
            && let Some(row) = page.rows.last().cloned()
        {
            page.rows.push(row);
        }
        Ok(page)
    }

    async fn close_partitions(
        &self,
        partitions: &[PartitionId],
        through: Timestamp,
    ) -> Result<Vec<Timestamp>> {
        let closed = match self.rule {
            // The time of what is under way is not known, and nothing is raised.
            Rule::ClosesNothing => self.inner.close_partitions(partitions, Timestamp::MIN).await?,
            _ => self.inner.close_partitions(partitions, through).await?,
        };
        let later = std::time::Duration::from_secs(5);
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(closed
            .into_iter()
            .map(|time| match self.rule {
                Rule::ClosesNothing => time.after(later),
                Rule::ClosingGoesBack if call.is_multiple_of(3) => time.before(later),
                Rule::ClosesTooEarly => time.before(later),
                _ => time,
            })
            .collect())
    }
}

macro_rules! noticed {
    ($($name:ident: $rule:ident breaks $module:ident::$sentence:ident;)*) => {
        $(
            #[test]
            #[should_panic]
            fn $name() {
                run(conformance::$module::$sentence(&with(Rule::$rule)));
            }
        )*

        /// Without a broken rule the same checks pass: it is the rule that is noticed.
        mod control {
            $(
                #[test]
                fn $name() {
                    super::run(super::conformance::$module::$sentence(&super::with(super::Rule::Nothing)));
                }
            )*
        }
    };
}

noticed! {
    another_id_each_time: AnotherIdEachTime breaks properties::answers_the_same_on_every_instance;
    torn_units: TearsUnits breaks append::commits_each_unit_whole_or_not_at_all;
    a_store_that_forgets: ForgetsWhenClosed breaks append::answers_ok_only_when_the_unit_is_durable;
    shown_and_forgotten: ForgetsWhenClosed breaks concurrency::shows_no_unit_that_is_not_durable;
    a_lost_unit: LosesAUnit breaks read_streams::shows_every_acknowledged_unit_whole;
    a_lost_unit_among_many: LosesAUnit breaks concurrency::versions_and_positions_stay_gapless_under_concurrent_appends;
    forgotten_versions: ForgetsExpectedVersions
        breaks append::commits_a_unit_only_when_every_stream_is_at_the_expected_version;
    two_winners: ForgetsExpectedVersions breaks concurrency::each_expected_version_has_exactly_one_winner;
    done_twice: ForgetsExpectedVersions breaks append::a_dropped_append_is_done_whole_or_not_at_all;
    another_version: ReportsAnotherVersion
        breaks append::commits_a_unit_only_when_every_stream_is_at_the_expected_version;
    a_forgotten_field: ForgetsTheRequester breaks append::stores_the_checksum_and_every_field_as_given;
    a_cut_payload: ShortensPayloads breaks bounds::takes_a_unit_at_each_bound;
    no_bounds: TakesAnything breaks bounds::refuses_a_unit_that_breaks_a_bound;
    no_bound_of_lists: TakesLongLists breaks bounds::refuses_a_list_that_is_too_long;
    no_chains: IgnoresChains breaks chain::treats_units_that_share_a_stream_as_a_chain;
    no_chains_through_units: IgnoresChains breaks chain::a_chain_runs_through_units_of_several_streams;
    lists_that_fail_whole: FailsListsWhole breaks chain::units_that_share_no_stream_succeed_and_fail_apart;
    misplaced_units: MisplacesUnits breaks order::gives_versions_and_positions_without_gaps_in_commit_order;
    appends_turned_around: TurnsAppendsAround
        breaks order::gives_versions_and_positions_without_gaps_in_commit_order;
    a_time_that_goes_back: TimeGoesBack breaks order::stamps_a_unit_with_a_time_that_never_goes_back;
    a_gap_that_is_filled: HidesTheLastRecordForAWhile
        breaks concurrency::never_shows_a_record_before_one_with_a_lower_position;
    endless_pages: PagesWithoutLimit breaks read_streams::returns_records_by_version_without_gaps_up_to_the_limit;
    endless_log_pages: PagesWithoutLimit breaks logs::returns_records_by_position_up_to_the_limit;
    the_pages_head: HeadOfThePage breaks read_streams::returns_records_by_version_without_gaps_up_to_the_limit;
    mixed_up_answers: MixesUpAnswers
        breaks read_streams::returns_records_by_version_without_gaps_up_to_the_limit;
    a_snapshot_too_new: SnapshotAt breaks read_streams::returns_the_latest_snapshot_and_what_follows;
    no_snapshot: SnapshotTheFirst breaks read_streams::returns_the_latest_snapshot_and_what_follows;
    types_turned_around: TypesTurnedAround breaks logs::reading_types_is_filtering_the_log;
    types_by_prefix: TypesByPrefix breaks logs::reading_types_is_filtering_the_log;
    types_that_stand_still: TypesStandStill breaks logs::reading_types_moves_on_to_the_head;
    forgotten_steps: ForgetsResumedSteps breaks open_steps::lists_a_step_from_its_request_to_its_settlement;
    a_forgotten_number: ForgetsScannedTo
        breaks open_steps::carries_the_numbers_of_requested_and_of_the_latest_resumed;
    steps_of_others: ListsOtherCategories breaks open_steps::returns_pages_in_a_fixed_order;
    the_first_page_for_ever: IgnoresAfter breaks open_steps::returns_pages_in_a_fixed_order;
    steps_of_the_future: ClockHidesSteps breaks open_steps::lists_every_open_step_where_no_age_is_asked_for;
    one_record_more: RemovesOneMore breaks truncate::removes_nothing_after_through_and_nothing_above_the_head;
    above_the_head: RemovesAboveTheHead
        breaks truncate::removes_nothing_after_through_and_nothing_above_the_head;
    a_hidden_floor: HidesTheFloor breaks truncate::leaves_everything_else_as_it_is_and_shows_the_floor;
    a_lower_floor: LowersTheFloor breaks truncate::never_lowers_a_floor;
    forgotten_rows: ForgetsExpectedRows breaks rows::commits_a_unit_only_when_every_row_is_as_expected;
    two_claimers: ForgetsExpectedRows breaks rows::each_free_row_has_exactly_one_claimer;
    torn_rows: ForgetsExpectedRows breaks rows::commits_records_and_rows_together_or_not_at_all;
    rows_done_twice: ForgetsExpectedRows breaks rows::a_dropped_unit_with_rows_is_done_whole_or_not_at_all;
    rows_without_records: ForgetsRowsWithoutRecords breaks read_rows::shows_every_row_as_the_last_unit_left_it;
    lost_changes: ForgetsRowsWithoutRecords breaks rows::units_of_several_rows_never_lock_each_other_out;
    no_chains_of_rows: IgnoresChains breaks rows::treats_units_that_share_a_row_as_a_chain;
    used_numbers: ReusesNumbers breaks rows::gives_numbers_that_are_never_used_again;
    eternal_rows: LivesForEver breaks rows::tells_the_expiry_of_rows_by_its_own_clock;
    forgotten_rows_that_are_remembered: RemovesWhatIsForgotten breaks rows::keeps_nothing_of_a_row_that_is_forgotten;
    messages_that_get_lost: SplitsMessagesOff breaks append::commits_messages_with_their_aggregate_or_not_at_all;
    removed_rows: ListsRemovedRows breaks read_rows::leaves_removed_rows_out_and_returns_the_others_by_key;
    any_prefix: IgnoresPrefixes breaks read_rows::returns_what_follows_of_a_prefix;
    no_bounds_of_rows: RowsWithoutBounds breaks rows::refuses_a_unit_whose_rows_break_a_bound;
    no_bounds_of_reads: IgnoresPrefixes breaks read_rows::refuses_a_read_of_rows_that_breaks_a_bound;
    another_time: TellsAnotherTime breaks read_rows::tells_its_own_time_at_a_read_of_rows;
    nothing_closed: ClosesNothing breaks close::stamps_every_later_unit_after_the_time;
    closed_and_written: ClosesNothing breaks close::shows_every_record_at_or_before_the_time;
    closed_for_a_while: ClosesNothing breaks close::answers_only_when_closing_is_durable;
    an_earlier_time: ClosingGoesBack breaks close::never_answers_an_earlier_time;
    too_early: ClosesTooEarly breaks close::answers_the_time_asked_for_or_its_own;
}

#[test]
fn the_random_comparison_notices_broken_rules_too() {
    let rules = [
        Rule::TearsUnits,
        Rule::IgnoresChains,
        Rule::ForgetsScannedTo,
        Rule::ForgetsWhenClosed,
        Rule::ForgetsExpectedRows,
        Rule::ReusesNumbers,
    ];
    for rule in rules {
        let compare = || conformance::differential::differs(async || with(rule));
        assert!(compare().is_some(), "{rule:?} is not noticed");
    }
    assert_eq!(conformance::differential::differs(async || with(Rule::Nothing)), None);
}
