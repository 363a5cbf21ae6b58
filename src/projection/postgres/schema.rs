//! The view's own schema.

use crate::store::postgres::{Migration, Schema};

pub(super) const SCHEMA: Schema = Schema {
    name: "sidestream_view",
    make: include_str!("sql/view_schema.sql"),
    has: include_str!("sql/view_has_schema.sql"),
    applied: include_str!("sql/view_applied.sql"),
    add: include_str!("sql/view_add_migration.sql"),
    steps: &[
        Migration { number: 1, sql: include_str!("sql/view_0001.sql") },
        Migration { number: 2, sql: include_str!("sql/view_0002_joins.sql") },
        Migration { number: 3, sql: include_str!("sql/view_0003_generations.sql") },
    ],
    advice: "call `PostgresView::builder(…).run_migrations()` as a user who may make schemas, or open with Options::migrate",
};
