//! Says what was fitted: times by class, what they would be as prices, fuel per nanosecond by program.

use std::fmt::Write;

use haar_meter::schedule::Schedule;

use super::count::{Column, FUEL_NOW};
use super::data::Sample;
use super::fit::least_squares;

/// The kernel that gives the unit: two chains of integer instructions.
const UNIT_KERNEL: &str = "k-integer";

type Time = fn(&Sample) -> f64;

const ENGINES: [(&str, Time); 3] = [
    ("wasmtime", |sample| sample.wasmtime_ns),
    ("V8 optimising", |sample| sample.optimising_ns),
    ("V8 baseline", |sample| sample.baseline_ns),
];

/// The whole report as Markdown.
pub fn write(samples: &[Sample]) -> String {
    // A clock that stood still says nothing.
    let samples: Vec<&Sample> = samples
        .iter()
        .filter(|sample| ENGINES.iter().all(|(_, time)| 0.0 < time(sample)))
        .collect();
    let columns = Column::all();
    let fits: Vec<Vec<f64>> = ENGINES
        .iter()
        .map(|(_, time)| fit(&samples, &columns, *time))
        .collect();
    let unit = unit(&samples);

    let mut text = format!(
        "One unit is {unit:.2} ns: an integer instruction in `{UNIT_KERNEL}`, wasmtime.\n\n\
         | Class | Runs, millions | wasmtime, ns | V8 optimising, ns | V8 baseline, ns | As a price | Price now |\n\
         |---|---|---|---|---|---|---|\n"
    );
    for (index, column) in columns.iter().enumerate() {
        let runs: u64 = samples.iter().map(|sample| count(sample, *column)).sum();
        let times: Vec<f64> = fits.iter().map(|fit| fit[index]).collect();
        let _ = writeln!(
            text,
            "| {} | {:.1} | {:.2} | {:.2} | {:.2} | {} | {} |",
            column.name(),
            runs as f64 / 1e6,
            times[0],
            times[1],
            times[2],
            rounded(*column, &times, unit),
            column.price(&Schedule::V1),
        );
    }
    text.push('\n');
    speeds(&mut text, &samples);
    text
}

/// The dearest engine's time as a whole price; lengths keep their fraction.
fn rounded(column: Column, times: &[f64], unit: f64) -> String {
    let price = times.iter().copied().fold(0.0, f64::max) / unit;
    match column {
        Column::Class(_) if column.is_free() => "0".to_owned(),
        Column::Class(_) => format!("{:.0}", price.ceil().max(1.0)),
        _ => format!("{price:.2}"),
    }
}

fn unit(samples: &[&Sample]) -> f64 {
    let kernel = samples.iter().find(|sample| sample.name == UNIT_KERNEL);
    let unit = kernel.and_then(|sample| {
        let runs = sample.counts.get("Integer")?;
        Some(sample.wasmtime_ns / *runs as f64)
    });
    unit.unwrap_or(1.0)
}

fn count(sample: &Sample, column: Column) -> u64 {
    sample.counts.get(&column.name()).copied().unwrap_or(0)
}

/// Fits on relative errors: each subject counts alike, however long it runs.
fn fit(samples: &[&Sample], columns: &[Column], time: Time) -> Vec<f64> {
    let row = |sample: &&Sample| -> Vec<f64> {
        let share = |column: &Column| count(sample, *column) as f64 / time(sample);
        columns.iter().map(share).collect()
    };
    let rows: Vec<Vec<f64>> = samples.iter().map(row).collect();
    least_squares(&rows, &vec![1.0; rows.len()], &vec![0.0; columns.len()])
}

/// Fuel per nanosecond of each subject under the present schedule, and the spread.
fn speeds(text: &mut String, samples: &[&Sample]) {
    text.push_str("| Subject | wasmtime, ms | fuel/ns, wasmtime | V8 optimising | V8 baseline |\n|---|---|---|---|---|\n");
    let fuel = |sample: &Sample| sample.counts.get(FUEL_NOW).copied().unwrap_or(0) as f64;
    let mut sorted = samples.to_vec();
    sorted.sort_by(|a, b| {
        let speed = |sample: &Sample| fuel(sample) / sample.wasmtime_ns;
        (b.is_program, speed(a))
            .partial_cmp(&(a.is_program, speed(b)))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    for sample in &sorted {
        let _ = write!(
            text,
            "| {} | {:.1} |",
            sample.name,
            sample.wasmtime_ns / 1e6
        );
        for (_, time) in ENGINES {
            let _ = write!(text, " {:.2} |", fuel(sample) / time(sample));
        }
        text.push('\n');
    }
    for (engine, time) in ENGINES {
        let programs = sorted.iter().filter(|sample| sample.is_program);
        let speeds: Vec<f64> = programs.map(|sample| fuel(sample) / time(sample)).collect();
        let least = speeds.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = speeds.iter().copied().fold(0.0, f64::max);
        let _ = writeln!(
            text,
            "\nSpread over {} programs in {engine}: {:.1} ({least:.2} to {greatest:.2} fuel/ns).",
            speeds.len(),
            greatest / least,
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample(name: &str, ns: f64, counts: &[(&str, u64)]) -> Sample {
        Sample {
            name: name.to_owned(),
            is_program: !name.starts_with("k-"),
            wasmtime_ns: ns,
            baseline_ns: ns,
            optimising_ns: ns,
            counts: counts
                .iter()
                .map(|(of, count)| ((*of).to_owned(), *count))
                .collect(),
        }
    }

    #[test]
    fn classes_get_the_times_that_explain_the_samples() {
        let samples = [
            sample("k-integer", 50.0, &[("Integer", 100), (FUEL_NOW, 100)]),
            sample(
                "k-divide",
                350.0,
                &[("Integer", 100), ("I32Div", 100), (FUEL_NOW, 1_100)],
            ),
            sample("sum", 100.0, &[("Integer", 200), (FUEL_NOW, 200)]),
            sample(
                "ratio",
                400.0,
                &[("Integer", 200), ("I32Div", 100), (FUEL_NOW, 1_600)],
            ),
        ];
        let report = write(&samples);
        assert!(
            report.contains("| I32Div | 0.0 | 3.00 | 3.00 | 3.00 | 6 |"),
            "{report}"
        );
        let spread = "Spread over 2 programs in wasmtime: 2.0 (2.00 to 4.00 fuel/ns).";
        assert!(report.contains(spread), "{report}");
    }
}
