//! A bank's transactions, replayed and compared with the bank's own balances.

use std::collections::BTreeMap;
use std::fs;

use crate::berka::{self, ACCOUNTS, ROWS, totals};
use crate::program::folder;

#[test]
fn every_balance_of_a_real_bank_is_the_banks_and_a_second_run_applies_nothing() {
    let Some(file) = berka::file() else { return };
    let (folder, commands) = (folder(), berka::commands(&file));
    let options = ["--duplicates", "0.3", "--balances", "balances.csv"];
    let first = berka::replay(folder.path(), &file, &options).succeeded();
    assert_eq!((first.figure("rows"), first.figure("balances that differ")), (ROWS, 0));
    let told = totals(&first);
    assert_eq!(
        (told.applied, told.refused, told.recovered, told.mismatches),
        (commands, 0, 0, 0),
        "{told:?}"
    );
    assert!(told.seconds > 0.0);
    let share = told.replayed * 100 / commands;
    assert!((27..=33).contains(&share), "{share} % of the commands were sent twice");
    let balances = fs::read_to_string(folder.path().join("balances.csv")).unwrap();
    assert_eq!(balances, the_banks_last_balances(&file));

    let again = totals(&berka::replay(folder.path(), &file, &options).succeeded());
    assert_eq!((again.applied, again.refused, again.mismatches), (0, 0, 0), "{again:?}");
    assert_eq!(again.replayed, told.applied + told.replayed);
    assert_eq!(fs::read_to_string(folder.path().join("balances.csv")).unwrap(), balances);
    assert_eq!(berka::events(&folder.path().join("bank.db")), (commands, usize::try_from(ROWS).unwrap()));
}

/// What the balances file must be, from the bank's file alone.
fn the_banks_last_balances(file: &std::path::Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let mut last = BTreeMap::new();
    for line in text.lines().skip(1) {
        let columns: Vec<&str> = line.split(',').collect();
        last.insert(columns[1], columns[5]);
    }
    assert_eq!(last.len(), ACCOUNTS);
    let lines = last.iter().map(|(account, balance)| format!("{account},{balance}\n"));
    std::iter::once("account,balance_minor\n".to_owned()).chain(lines).collect()
}

/// The answer depends neither on how many are under way at once nor on what is sent twice.
#[test]
fn one_at_a_time_or_all_at_once_once_or_twice_the_balances_are_the_same() {
    let ways: [&[&str]; 5] = [
        &["--in-flight", "1"],
        &["--in-flight", "65536", "--duplicates", "1"],
        &["--duplicates", "0.3", "--seed", "1"],
        &["--duplicates", "0.3", "--seed", "2"],
        &["--duplicates", "0"],
    ];
    let mut replayed = Vec::new();
    let mut balances = Vec::new();
    for way in ways {
        let folder = folder();
        let Some(file) = berka::beginning(folder.path(), 1_500) else { return };
        let options = [way, &["--balances", "balances.csv"]].concat();
        let told = totals(&berka::replay(folder.path(), &file, &options).succeeded());
        let commands = berka::commands(&file);
        assert_eq!((told.applied, told.mismatches), (commands, 0), "{way:?} {told:?}");
        replayed.push(told.replayed);
        balances.push(fs::read_to_string(folder.path().join("balances.csv")).unwrap());
        if way.contains(&"1") && way.contains(&"65536") {
            assert_eq!(told.replayed, commands, "everything twice");
        }
    }
    assert!(balances.windows(2).all(|pair| pair[0] == pair[1]), "balances differ");
    assert_eq!((replayed[0], replayed[4]), (0, 0));
    assert_ne!(replayed[2], replayed[3], "another seed sends other commands twice");
}
