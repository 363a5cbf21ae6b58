//! Daily totals: what moved, by the day on which the store took it, and how often something was refused. It is a join of
//! the accounts' events with the refusals in their transactions' side streams, over all partitions in the order of their
//! times.

use std::collections::BTreeMap;

use sidestream::Decider;
use sidestream::event::RecordKind;
use sidestream::feed::Selection;
use sidestream::projection::postgres::tokio_postgres::Row;
use sidestream::projection::postgres::tokio_postgres::types::{ToSql, Type};
use sidestream::projection::{
    Event, Failure, PostgresRows, PostgresView, Projection, SqliteRows, SqliteView,
};

use crate::rules::{self, Account};

pub(super) const NAME: &str = "daily totals";

const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS daily_totals (day BIGINT PRIMARY KEY, deposited BIGINT NOT NULL, \
     held BIGINT NOT NULL, captured BIGINT NOT NULL, released BIGINT NOT NULL, refused BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS daily_totals_order (one BIGINT PRIMARY KEY, events BIGINT NOT NULL, digest BIGINT NOT NULL)",
];
const READ: &str = "SELECT day, deposited, held, captured, released, refused FROM daily_totals";
const READ_ORDER: &str = "SELECT events, digest FROM daily_totals_order WHERE one = 1";

/// What a day came to, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) deposited: i64,
    pub(super) held: i64,
    pub(super) captured: i64,
    pub(super) released: i64,
    /// How often a step was refused.
    pub(super) refused: i64,
}

/// How many events were seen, and a number that depends on each of them and on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) events: i64,
    digest: i64,
}

/// The whole view. Days are counted from 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) days: BTreeMap<i64, Day>,
    pub(super) order: Order,
}

impl Day {
    /// What one event adds.
    fn of(event: &Event<'_>) -> Result<Self, Failure> {
        let mut day = Self::default();
        if event.record().data.kind == RecordKind::Rejected {
            day.refused = 1;
            return Ok(day);
        }
        match event.decode::<Account>()? {
            rules::Event::Deposited { minor } => day.deposited = minor,
            rules::Event::Held { minor } => day.held = minor,
            rules::Event::Captured { minor } => day.captured = minor,
            rules::Event::Released { minor } => day.released = minor,
        }
        Ok(day)
    }

    fn columns(self) -> [i64; 5] {
        [self.deposited, self.held, self.captured, self.released, self.refused]
    }

    fn of_columns([deposited, held, captured, released, refused]: [i64; 5]) -> Self {
        Self { deposited, held, captured, released, refused }
    }
}

impl Order {
    /// FNV-1a over where the events lie.
    fn and(self, event: &Event<'_>) -> Self {
        let bytes = [event.partition().get().into(), event.position().get()].map(u64::to_le_bytes).concat();
        let fold = |digest: u64, byte: u8| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let digest = bytes.into_iter().fold(self.digest.cast_unsigned(), fold);
        Self { events: self.events + 1, digest: digest.cast_signed() }
    }
}

fn day(event: &Event<'_>) -> i64 {
    event.recorded_at().as_micros().div_euclid(86_400_000_000)
}

/// The rules of the view.
pub(super) struct DailyTotals;

fn selections() -> sidestream::Result<Vec<Selection>> {
    let moves = Selection::all().category(Account::CATEGORY)?;
    let moves = moves.types(["Deposited", "Held", "Captured", "Released"])?;
    let refusals = Selection::all().category(Account::CATEGORY.side())?.types(["$rejected"])?;
    Ok(vec![moves, refusals.framework_records()])
}

impl Projection<SqliteRows> for DailyTotals {
    const NAME: &'static str = NAME;

    fn join(&self) -> sidestream::Result<Vec<Selection>> {
        selections()
    }

    async fn prepare(&self, rows: &mut SqliteRows) -> Result<(), Failure> {
        TABLES.into_iter().try_for_each(|table| rows.execute_all(table))?;
        Ok(())
    }

    async fn apply(&self, rows: &mut SqliteRows, event: &Event<'_>) -> Result<(), Failure> {
        let [deposited, held, captured, released, refused] = Day::of(event)?.columns();
        rows.execute(
            "INSERT INTO daily_totals VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (day) DO UPDATE \
             SET deposited = deposited + excluded.deposited, held = held + excluded.held, \
             captured = captured + excluded.captured, released = released + excluded.released, \
             refused = refused + excluded.refused",
            (day(event), deposited, held, captured, released, refused),
        )?;
        let known = rows.one(READ_ORDER, (), |row| Ok(Order { events: row.get(0)?, digest: row.get(1)? }))?;
        let Order { events, digest } = known.unwrap_or_default().and(event);
        rows.execute("INSERT OR REPLACE INTO daily_totals_order VALUES (1, ?1, ?2)", (events, digest))?;
        Ok(())
    }
}

impl Projection<PostgresRows> for DailyTotals {
    const NAME: &'static str = NAME;

    fn join(&self) -> sidestream::Result<Vec<Selection>> {
        selections()
    }

    async fn prepare(&self, rows: &mut PostgresRows) -> Result<(), Failure> {
        Ok(rows.execute_all(&TABLES).await?)
    }

    async fn apply(&self, rows: &mut PostgresRows, event: &Event<'_>) -> Result<(), Failure> {
        let (day, columns) = (day(event), Day::of(event)?.columns());
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![(&day, Type::INT8)];
        for column in &columns {
            parameters.push((column, Type::INT8));
        }
        let sql = "INSERT INTO daily_totals AS t VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (day) DO UPDATE \
                   SET deposited = t.deposited + excluded.deposited, held = t.held + excluded.held, \
                   captured = t.captured + excluded.captured, released = t.released + excluded.released, \
                   refused = t.refused + excluded.refused";
        let (added, known) = tokio::join!(rows.execute(sql, &parameters), rows.query_one(READ_ORDER, &[]));
        added?;
        let known = known?.map(|row| Order { events: row.get(0), digest: row.get(1) });
        let Order { events, digest } = known.unwrap_or_default().and(event);
        let sql = "INSERT INTO daily_totals_order VALUES (1, $1, $2) ON CONFLICT (one) DO UPDATE \
                   SET events = excluded.events, digest = excluded.digest";
        rows.execute(sql, &[(&events, Type::INT8), (&digest, Type::INT8)]).await?;
        Ok(())
    }
}

pub(super) async fn in_sqlite(view: &SqliteView) -> sidestream::Result<Totals> {
    view.read(|connection| {
        let mut rows = connection.prepare(READ)?;
        let day = |row: &sidestream::projection::sqlite::rusqlite::Row<'_>| {
            let columns = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
            Ok((row.get(0)?, Day::of_columns(columns)))
        };
        let days = rows.query_map([], day)?.collect::<Result<_, _>>()?;
        let mut order = connection.prepare(READ_ORDER)?;
        let mut order = order.query_map([], |row| Ok(Order { events: row.get(0)?, digest: row.get(1)? }))?;
        Ok(Totals { days, order: order.next().transpose()?.unwrap_or_default() })
    })
    .await
}

pub(super) async fn in_postgres(view: &PostgresView) -> sidestream::Result<Totals> {
    let day = |row: &Row| (row.get(0), Day::of_columns([1, 2, 3, 4, 5].map(|at: usize| row.get(at))));
    let days = view.read(READ, &[]).await?.iter().map(day).collect();
    let order = view.read(READ_ORDER, &[]).await?;
    let order = order.first().map(|row| Order { events: row.get(0), digest: row.get(1) });
    Ok(Totals { days, order: order.unwrap_or_default() })
}

/// A day as people write it, by Hinnant's *days_from_civil* turned round.
pub(super) fn date(day: i64) -> String {
    let from = day + 719_468;
    let (era, of_era) = (from.div_euclid(146_097), from.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}")
}
