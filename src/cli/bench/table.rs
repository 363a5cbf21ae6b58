//! The report as people read it.

use comfy_table::{CellAlignment, Table, presets};

use crate::cli::bench::figures::figure;
use crate::cli::bench::report::Report;

/// A row: what it is, ours, and the bare loop's.
type Row = (&'static str, Option<f64>, Option<f64>, usize);

/// The report as tables.
pub(super) fn show(report: &Report) -> String {
    let mut parts = vec![main_table(report)];
    if let Some(ratio) = report.floor.floor_ratio {
        let ratios = report.floor.floor_ratios.iter().flatten();
        let ratios: Vec<_> = ratios.map(|ratio| number(*ratio, 2)).collect();
        parts.push(format!("by the bare loop's: {}, in each round {}", number(ratio, 2), ratios.join(" ")));
    }
    let tenths: Vec<_> = report.parts.iter().map(|rate| number(*rate, 0)).collect();
    parts.push(format!("commands/s in each tenth: {}", tenths.join(" ")));
    parts.join("\n")
}

fn main_table(report: &Report) -> String {
    let beside = report.floor.floor_ratio.is_some();
    let mut table = Table::new();
    let heading = ["bench", report.store, "bare loop"];
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(heading.iter().take(if beside {
        3
    } else {
        2
    }));
    for (what, ours, floor, digits) in rows(report) {
        if ours.is_none() && floor.is_none() {
            continue;
        }
        let cell = |figure: Option<f64>| figure.map_or_else(String::new, |figure| number(figure, digits));
        let cells = [what.to_owned(), cell(ours), cell(floor)];
        table.add_row(cells.into_iter().take(if beside { 3 } else { 2 }));
    }
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table.to_string()
}

fn rows(report: &Report) -> Vec<Row> {
    let (floor, recovery) = (&report.floor, &report.recovery);
    let mebibytes = |bytes: Option<u64>| bytes.map(|bytes| figure(bytes) / 1_048_576.0);
    let some = |count: u64| (count > 0).then(|| figure(count));
    vec![
        ("commands", Some(figure(report.commands)), None, 0),
        ("of them sent again", Some(figure(report.repeated)), None, 0),
        ("sent again: contended", some(report.contended), None, 0),
        ("sent again: errors", some(report.errors), None, 0),
        ("seconds", Some(report.seconds), None, 3),
        ("commands/s", Some(report.commands_per_second), floor.floor_commands_per_second, 0),
        ("p50, ms", Some(report.p50_ms), floor.floor_p50_ms, 3),
        ("p99, ms", Some(report.p99_ms), floor.floor_p99_ms, 3),
        ("p99.9, ms", Some(report.p999_ms), floor.floor_p999_ms, 3),
        ("commits/s", report.commits_per_second, floor.floor_commits_per_second, 0),
        ("commands a commit", report.commands_per_commit, floor.floor_commands_per_commit, 1),
        ("bytes a command", report.bytes_per_command, floor.floor_bytes_per_command, 0),
        ("CPU seconds", report.cpu_seconds, floor.floor_cpu_seconds, 2),
        ("CPU µs a command", report.cpu_us_per_command, None, 1),
        ("peak memory, MiB", mebibytes(report.peak_memory_bytes), None, 0),
        ("rows read a command", Some(report.rows_read_per_command), None, 2),
        ("first load, ms", report.cold_load_ms, None, 3),
        ("first load, rows", report.cold_load_rows.map(figure), None, 0),
        ("open steps", recovery.open_steps.map(figure), None, 0),
        ("recovery, s", recovery.recover_seconds, None, 3),
        ("recovery, rows", recovery.recover_rows_read.map(figure), None, 0),
        ("restart, s", report.restart.restart_seconds, None, 3),
        ("of it opening, s", report.restart.restart_open_seconds, None, 3),
    ]
}

/// A figure with its thousands set apart.
fn number(figure: f64, digits: usize) -> String {
    let text = format!("{figure:.digits$}");
    let (whole, rest) =
        text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let groups: Vec<_> = whole
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    let whole = groups.join(",");
    rest.map_or_else(|| whole.clone(), |rest| format!("{whole}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(number(1_234_567.891, 2), "1,234,567.89");
        assert_eq!(number(999.5, 0), "1,000");
        assert_eq!(number(0.04, 3), "0.040");
    }
}
