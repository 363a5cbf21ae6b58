//! Names and places: streams, partitions, derived ids, fingerprints, the schema of the SQLite store.

use sidestream::id::Fingerprint;
use sidestream::partition::PartitionCount;
use sidestream::stream::StreamName;
use sidestream::{AggregateId, Category, Decider, TransactionId};

use crate::account::{Account, Command};
use crate::golden::{Golden, hex};

#[test]
fn the_names_of_streams_are_as_they_were() {
    let category = Category::new("account");
    let transaction = TransactionId::derive("golden", "transaction");
    let mut found = vec![("category of side streams".to_owned(), category.side().to_string())];
    for id in ["7", "employer", "tenant+7", "tenant+7+8", "7-8", "é", "a b"] {
        let id = AggregateId::new(id).expect("valid");
        let side = category.side_stream(&id, transaction);
        found.push((format!("stream of {id}"), category.stream(&id).to_string()));
        found.push((format!("side stream of {id}"), side.to_string()));
        found.push((format!("cardinal id of {id}"), id.cardinal().to_owned()));
        let read = StreamName::parse(side.as_str()).expect("valid");
        assert_eq!(read.side_parts(), Some((id.clone(), transaction)), "{side}");
        assert_eq!(read.cardinal(), id.cardinal(), "a side stream lies in its aggregate's partition");
    }
    Golden::open("streams.txt").check(
        &found,
        "Streams are found by these names, and this format may not change: what was stored would be looked for elsewhere.",
    );
}

#[test]
fn the_partitions_of_ids_are_as_they_were() {
    let mut found = Vec::new();
    for id in ["", "1", "7", "42", "704", "3818", "employer", "employee-149", "tenant", "é", &"a".repeat(200)]
    {
        let of = |count| PartitionCount::new(count).expect("valid").of(id).get();
        found.push((
            format!("partition of {id:?} of 1, 16, 1024"),
            format!("{}, {}, {}", of(1), of(16), of(1_024)),
        ));
    }
    Golden::open("partitions.txt").check(
        &found,
        "A stream lies in the partition of its cardinal id, and this hash may not change: what was stored would be \
         looked for in the wrong log.",
    );
}

#[test]
fn derived_ids_are_as_they_were() {
    let pairs = [("", ""), ("bank", "207264"), ("bank2", "07264"), ("payday-2026-11", "0"), ("é", "ß")];
    let found: Vec<_> = pairs
        .iter()
        .map(|(scope, name)| (format!("{scope:?} {name:?}"), TransactionId::derive(scope, name).to_string()))
        .collect();
    Golden::open("derived_ids.txt").check(
        &found,
        "Whoever derived an id and retries, or runs the same import again, must get the same one: this may not change. \
         Otherwise what is done already is done twice.",
    );
}

#[test]
fn the_fingerprints_of_commands_are_as_they_were() {
    let mut found = Vec::new();
    for command in [
        Command::Deposit { minor: 12_500 },
        Command::Deposit { minor: i64::MAX },
        Command::Hold { minor: 12_500 },
        Command::Capture { part: 1, minor: 12_500 },
        Command::Release,
    ] {
        for schema in [1, 2] {
            let fingerprint = Fingerprint::of(&Account::step(&command), schema, &command).expect("JSON");
            found.push((format!("{command:?} of schema {schema}"), fingerprint.to_string()));
        }
    }
    // The parts of JSON: each kind, nested, with an order of keys that is not the canonical one.
    for (name, json) in [
        ("constants", "[null,true,false]"),
        ("numbers", "[0,-1,18446744073709551615,-9223372036854775808,1.5]"),
        ("texts", r#"["","é","\u0000"]"#),
        ("keys", r#"{"b":1,"a":{"d":[],"c":{}}}"#),
    ] {
        let value: serde_json::Value = serde_json::from_str(json).expect("JSON");
        let fingerprint = Fingerprint::of(&Account::step(&Command::Release), 1, &value).expect("JSON");
        found.push((format!("{name} {json}"), fingerprint.to_string()));
    }
    Golden::open("fingerprints.txt").check(
        &found,
        "A retry is told from a mistake by this, and it may not change: every retry of a command that is stored would be \
         answered with a conflict. A changed command type needs a new schema version and an upcaster instead (decider.rs).",
    );
}

/// The file is text that git may not change the line ends of.
#[test]
fn the_schema_of_the_sqlite_store_is_as_it_was() {
    let steps = [
        ("0001_store.sql", include_str!("../../src/store/sqlite/sql/0001_store.sql")),
        ("0002_copy.sql", include_str!("../../src/store/sqlite/sql/0002_copy.sql")),
    ];
    let hash = |step: &str| hex(blake3::hash(step.as_bytes()).as_bytes());
    let found = steps.map(|(name, step)| {
        assert!(!step.contains('\r'), "checked out with other line ends");
        (name.to_owned(), hash(step))
    });
    Golden::open("sqlite_schema.txt").check(
        &found,
        "Stores keep the checksum of the step that made them, and refuse a program that knows another one: write the \
         next step instead, and name it in migrations.rs.",
    );
}
