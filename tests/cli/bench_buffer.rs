//! `sidestream bench buffer`.

use crate::bench::folder;
use crate::program::Run;

#[test]
fn commands_take_turns_and_every_message_is_sent() {
    let folder = folder();
    for store in ["sqlite:bench.db", "memory"] {
        let call = ["bench", "buffer", "--messages", "1000", "--rounds", "3", "--json", "--store", store];
        let report = Run::of(folder.path(), &call).json();
        let commands = &report["commands"];
        assert_eq!((&commands["rounds"], &commands["commands_a_round"]), (&3.into(), &334.into()));
        assert!(commands["ratio"].as_f64().expect("a ratio") > 0.0, "{report:#}");
        assert_eq!(report["published"]["count"], 1_002, "{report:#}");
    }
    // What an earlier run left is sent, too: each destination begins with the oldest message.
    let again =
        ["bench", "buffer", "--messages", "1000", "--rounds", "1", "--json", "--store", "sqlite:bench.db"];
    assert_eq!(Run::of(folder.path(), &again).json()["published"]["count"], 2_002);
}

#[test]
fn options_of_commands_do_not_mix_with_it() {
    let folder = folder();
    Run::of(folder.path(), &["bench", "--hot", "buffer"]).refused_with(&["buffer"]);
    Run::of(folder.path(), &["bench", "buffer", "--messages", "1"]).refused_with(&["--messages"]);
}
