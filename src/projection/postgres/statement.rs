//! Which statements a handler may use.

use crate::error::{Error, Result};

/// The first words of statements that leave the transaction, and the session's settings, alone.
const ALLOWED: [&str; 21] = [
    "ALTER", "ANALYZE", "COMMENT", "CREATE", "DELETE", "DO", "DROP", "EXPLAIN", "GRANT", "INSERT", "LOCK",
    "MERGE", "REFRESH", "REINDEX", "REVOKE", "SELECT", "TABLE", "TRUNCATE", "UPDATE", "VALUES", "WITH",
];
/// The schema that handlers leave alone.
const OWN: &[u8] = b"sidestream_view";

/// Demands that a statement neither ends the handler's transaction nor names the view's own schema. A server takes one
/// statement at a time here, and refuses `COMMIT` within functions and `DO` blocks by itself.
///
/// It keeps mistakes away, and nobody who means harm: who must not write to the schema is given no right to it.
pub(super) fn admit(sql: &str) -> Result<()> {
    let rest = without_comments(sql);
    let word: &str = rest.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let is_allowed =
        rest.starts_with('(') || ALLOWED.iter().any(|allowed| allowed.eq_ignore_ascii_case(word));
    if !is_allowed {
        return Err(Error::invalid("a handler may not use this statement")
            .expected(ALLOWED.join(", "), format!("{word:?}"))
            .advice("the transaction and the session's settings are the view's; one statement at a time"));
    }
    if sql.as_bytes().windows(OWN.len()).any(|part| part.eq_ignore_ascii_case(OWN)) {
        return Err(Error::invalid("a handler's statement names the schema `sidestream_view`")
            .advice("the view's own tables are its own"));
    }
    Ok(())
}

/// What follows the blanks, empty statements and comments that it begins with.
fn without_comments(sql: &str) -> &str {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, behind)| behind);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = behind_comment(comment);
        } else {
            return rest;
        }
    }
}

/// What follows a comment that has begun. They nest.
fn behind_comment(mut rest: &str) -> &str {
    let mut depth = 1_u32;
    while depth > 0 {
        let (opens, closes) = (rest.find("/*"), rest.find("*/"));
        let (at, deeper) = match (opens, closes) {
            (Some(opens), Some(closes)) if opens < closes => (opens, true),
            (_, Some(closes)) => (closes, false),
            _ => return "",
        };
        depth = if deeper { depth.saturating_add(1) } else { depth.saturating_sub(1) };
        rest = rest.get(at.saturating_add(2)..).unwrap_or_default();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_the_transaction_is_refused_however_it_is_written() {
        for sql in [
            "COMMIT",
            " commit",
            ";COMMIT",
            "-- a\nCOMMIT",
            "/* a /* b */ */ end",
            "ROLLBACK TO a",
            "ABORT",
            "BEGIN",
            "SAVEPOINT a",
            "PREPARE TRANSACTION 'a'",
            "SET ROLE a",
            "COPY t FROM STDIN",
            "",
            "/* a",
            "CALL p()",
            "select * FROM Sidestream_View.places",
            "LISTEN a",
            "/*/**/COMMIT*/",
            "/*/COMMIT",
        ] {
            assert!(admit(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn what_reads_and_changes_rows_is_not() {
        for sql in [
            "select 1",
            "insert into t values (1)",
            "(select 1) UNION select 2",
            "-- COMMIT\nupdate t SET a = 1",
            "WITH a AS (select 1) select * FROM a",
            "/* COMMIT */create table t (a int)",
            "/*/ */ delete from t",
        ] {
            assert!(admit(sql).is_ok(), "{sql}");
        }
    }
}
