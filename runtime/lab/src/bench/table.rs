//! The overhead table: rows, means, Markdown, and the places in the repository that show it.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::anatomy::Anatomy;
use super::plot;

const README: &str = "runtime/lab/README.md";
const PICTURE: &str = "docs/metering-overhead.svg";
const BEGIN: &str = "<!-- overhead: written by `cargo xtask bench overhead --write` -->";
const END: &str = "<!-- end of overhead -->";

/// One subject's figures. Times are the least of all rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub name: String,
    pub is_program: bool,
    /// wasmtime: plain, its own fuel, ours.
    pub run_ns: [u64; 3],
    /// The same for compiling.
    pub compile_ns: [u64; 3],
    /// V8: plain, ours.
    pub v8_ns: Option<[u64; 2]>,
    pub plain: Anatomy,
    pub metered: Anatomy,
}

/// All figures of one run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// V8's version, if it took part.
    pub v8: Option<String>,
    pub runs: u32,
    pub rows: Vec<Row>,
}

pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn ratio(after: u64, before: u64) -> f64 {
    after as f64 / (before.max(1)) as f64
}

impl Row {
    /// wasmtime's own fuel against plain.
    pub fn fuel(&self) -> f64 {
        ratio(self.run_ns[1], self.run_ns[0])
    }

    /// Ours against plain, on wasmtime.
    pub fn ours(&self) -> f64 {
        ratio(self.run_ns[2], self.run_ns[0])
    }

    /// Ours against plain, on V8.
    pub fn v8(&self) -> Option<f64> {
        self.v8_ns.map(|[plain, ours]| ratio(ours, plain))
    }

    fn code(&self) -> f64 {
        ratio(self.metered.code_bytes as u64, self.plain.code_bytes as u64)
    }

    fn compile(&self, form: usize) -> f64 {
        ratio(self.compile_ns[form], self.compile_ns[0])
    }

    /// The row as Markdown.
    pub fn line(&self) -> String {
        let v8 = self.v8().map_or_else(|| "–".to_owned(), percent);
        format!(
            "| {} | {:.1} | {} | {} | {v8} | {} | {} | {} | {} | {} |",
            self.name,
            self.run_ns[0] as f64 / 1e6,
            percent(self.fuel()),
            percent(self.ours()),
            percent(self.code()),
            percent(self.compile(1)),
            percent(self.compile(2)),
            self.metered.charges,
            self.metered.checks,
        )
    }
}

/// `1.083` as `+8.3`.
fn percent(ratio: f64) -> String {
    format!("{:+.1}", (ratio - 1.0) * 100.0)
}

/// The geometric mean and the greatest.
fn summary(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let values: Vec<f64> = values.collect();
    if values.is_empty() {
        return None;
    }
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    let greatest = values.iter().copied().fold(f64::MIN, f64::max);
    Some(((sum / values.len() as f64).exp(), greatest))
}

impl Report {
    /// The whole table as Markdown: programs by their overhead, the worst first, then kernels.
    pub fn table(&self) -> String {
        let mut text = String::from(
            "| Program | Plain, ms | wasmtime's fuel, % | Ours, % | Ours in V8, % | Code, % | Compile with fuel, % | Compile ours, % | Charges | Checks |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by(|a, b| {
            (b.is_program, b.ours())
                .partial_cmp(&(a.is_program, a.ours()))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        for (title, programs) in [("programs", true), ("kernels", false)] {
            for row in rows.iter().filter(|row| row.is_program == programs) {
                let _ = writeln!(text, "{}", row.line());
            }
            text.push_str(&self.means(title, programs));
        }
        text
    }

    fn means(&self, title: &str, programs: bool) -> String {
        let rows = || {
            self.rows
                .iter()
                .filter(move |row| row.is_program == programs)
        };
        let columns = [
            summary(rows().map(Row::fuel)),
            summary(rows().map(Row::ours)),
            summary(rows().filter_map(Row::v8)),
            summary(rows().map(Row::code)),
            summary(rows().map(|row| row.compile(1))),
            summary(rows().map(|row| row.compile(2))),
        ];
        let cell = |column: &Option<(f64, f64)>| {
            column.map_or_else(
                || "–".to_owned(),
                |(mean, greatest)| format!("**{}** ({})", percent(mean), percent(greatest)),
            )
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        let charges: usize = rows().map(|row| row.metered.charges).sum();
        let checks: usize = rows().map(|row| row.metered.checks).sum();
        format!(
            "| **{} {title}**: geometric mean (greatest) | | {} | {charges} | {checks} |\n",
            rows().count(),
            cells.join(" | ")
        )
    }

    /// Puts the table between its marks in the README, and draws the picture.
    pub fn write(&self, root: &Path) -> Result<()> {
        let readme = root.join(README);
        let text = fs::read_to_string(&readme)
            .with_context(|| format!("cannot read {}", readme.display()))?;
        let (before, rest) = text.split_once(BEGIN).context("the README lost its mark")?;
        let (_, after) = rest
            .split_once(END)
            .context("the README lost its end mark")?;
        let table = self.table();
        fs::write(&readme, format!("{before}{BEGIN}\n{table}{END}{after}"))
            .with_context(|| format!("cannot write {}", readme.display()))?;

        let picture = root.join(PICTURE);
        fs::write(&picture, plot::draw(self))
            .with_context(|| format!("cannot write {}", picture.display()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_ratios_is_geometric() {
        let (mean, greatest) = summary([2.0, 0.5].into_iter()).unwrap();
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
        assert_eq!(greatest, 2.0);
        assert_eq!(summary(std::iter::empty()), None);
    }

    #[test]
    fn a_ratio_is_said_in_percent_with_its_sign() {
        assert_eq!([1.0834, 1.0, 0.95].map(percent), ["+8.3", "+0.0", "-5.0"]);
    }
}
