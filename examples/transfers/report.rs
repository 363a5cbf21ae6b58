//! What it came to, for people and for programs.

use comfy_table::{CellAlignment, Table, presets};

use crate::audit::Figures;

pub(crate) struct Report {
    pub(crate) wanted: u64,
    pub(crate) figures: Figures,
    pub(crate) looks: u64,
    pub(crate) wrong_looks: u64,
    pub(crate) crashes: u64,
    pub(crate) seconds: f64,
}

impl Report {
    /// Shows it, and says whether everything is as it must be.
    pub(crate) fn show(&self) -> bool {
        let Figures { done, undone, half_done, doubled, money_in, money_now, .. } = self.figures;
        let Figures { not_held, not_deposited, late, expiring, expired, .. } = self.figures;
        eprintln!("{}", self.table());
        let json = serde_json::json!({
            "done": done, "undone": undone, "half_done": half_done, "doubled": doubled,
            "money_in": money_in, "money_now": money_now,
            "undone_by_payer": not_held, "undone_by_payee": not_deposited, "undone_late": late,
            "expiring": expiring, "expired": expired,
            "looks": self.looks, "wrong_looks": self.wrong_looks,
            "crashes": self.crashes, "seconds": self.seconds,
        });
        println!("{json}");
        let is_whole = done + undone == self.wanted && half_done == 0 && expired == expiring;
        is_whole && self.figures.is_right() && self.wrong_looks == 0
    }

    fn table(&self) -> Table {
        let Figures { done, undone, half_done, doubled, money_in, money_now, .. } = self.figures;
        let Figures { not_held, not_deposited, late, expiring, expired, .. } = self.figures;
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["", "how many"]);
        table.add_rows([
            ["transfers wanted", &self.wanted.to_string()],
            ["done", &done.to_string()],
            ["undone", &undone.to_string()],
            ["  the payer had not enough", &not_held.to_string()],
            ["  the payee had no room", &not_deposited.to_string()],
            ["  too late", &late.to_string()],
            ["half done", &half_done.to_string()],
            ["done twice, or by nobody", &doubled.to_string()],
            ["holds that expire, and did", &format!("{expired} of {expiring}")],
            ["money in, in minor units", &money_in.to_string()],
            ["money now", &money_now.to_string()],
            ["looks, wrong ones", &format!("{}, {}", self.looks, self.wrong_looks)],
            ["crashes", &self.crashes.to_string()],
            ["seconds", &format!("{:.1}", self.seconds)],
        ]);
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        table
    }
}
