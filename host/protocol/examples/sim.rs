//! Runs simulated fogs over many seeds and says whether every promise held.
//!
//! `cargo run -p haar-protocol --example sim -- --seeds 1000`

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use haar_protocol::sim::{Neglect, Report, SimConfig, run};

const USAGE: &str = "usage: sim [--seeds N] [--first N] [--seed N] [--jobs N] [--json] \
                     [--break signatures|journal]";
/// Worlds between two lines of progress.
const PROGRESS_EVERY: u64 = 100;

struct Arguments {
    first: u64,
    seeds: u64,
    config: SimConfig,
    is_json: bool,
    neglect_name: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let Arguments {
        first,
        seeds,
        config,
        is_json,
        ..
    } = arguments;
    // A line that rewrites itself is for eyes, not for files.
    let shows_progress = !is_json && std::io::stdout().is_terminal();
    let mut total = Report::default();
    for seed in first..first.saturating_add(seeds) {
        // An assertion of the machines is a violation, too; its seed must be seen as well.
        let world = std::panic::catch_unwind(|| run(seed, &config));
        let Ok(world) = world else {
            println!(
                "PANIC      seed {seed}\nreplay it  {}",
                replay_command(seed, &arguments)
            );
            return ExitCode::from(1);
        };
        match world {
            Ok(report) => total.add(&report),
            Err(failure) => {
                let replay = replay_command(seed, &arguments);
                if is_json {
                    println!(
                        "{{\"ok\":false,\"seed\":{seed},\"step\":{},\"violation\":\"{}\",\"replay\":\"{replay}\"}}",
                        failure.step, failure.violation
                    );
                } else {
                    println!("VIOLATION  {failure}\nreplay it  {replay}");
                }
                return ExitCode::from(1);
            }
        }
        let done = seed - first + 1;
        if shows_progress && done.is_multiple_of(PROGRESS_EVERY) && done < seeds {
            print!("\r{done} of {seeds} worlds, {} jobs", total.jobs);
            let _ = std::io::stdout().flush();
        }
    }
    print_summary(&total, seeds, is_json);
    ExitCode::SUCCESS
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        first: 0,
        seeds: 100,
        config: SimConfig::default(),
        is_json: false,
        neglect_name: None,
    };
    while let Some(flag) = words.next() {
        if flag == "--json" {
            arguments.is_json = true;
            continue;
        }
        let value = words
            .next()
            .ok_or_else(|| format!("{flag} needs a value"))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("{flag}: '{value}' is no number"))
        };
        match flag.as_str() {
            "--seeds" => arguments.seeds = number()?,
            "--first" => arguments.first = number()?,
            "--seed" => {
                arguments.first = number()?;
                arguments.seeds = 1;
            }
            "--jobs" => {
                let jobs = number()?;
                arguments.config.jobs =
                    u32::try_from(jobs).map_err(|_| format!("{jobs} jobs are too many"))?;
            }
            "--break" => {
                arguments.config.neglect = Some(value.parse::<Neglect>()?);
                arguments.neglect_name = Some(value);
            }
            _ => return Err(format!("unknown flag {flag}")),
        }
    }
    Ok(arguments)
}

fn replay_command(seed: u64, arguments: &Arguments) -> String {
    let jobs = arguments.config.jobs;
    let neglect = arguments.neglect_name.as_ref();
    let neglect = neglect
        .map(|name| format!(" --break {name}"))
        .unwrap_or_default();
    format!("cargo run -p haar-protocol --example sim -- --seed {seed} --jobs {jobs}{neglect}")
}

fn print_summary(total: &Report, seeds: u64, is_json: bool) {
    let hash: String = total
        .hash
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let redundancy = total.attempts as f64 / total.settled.max(1) as f64;
    if is_json {
        println!(
            "{{\"ok\":true,\"seeds\":{seeds},\"jobs\":{},\"settled\":{},\"refunded\":{},\
             \"turned_down\":{},\"wrong_optimistic\":{},\"wrong_colluding\":{},\"wrong_other\":0,\
             \"redundancy\":{redundancy:.3},\"dismissed\":{},\"forged\":{},\"crashes\":{},\
             \"batches\":{},\"steps\":{},\"simulated_ms\":{},\"violations\":0,\"hash\":\"{hash}\"}}",
            total.jobs,
            total.settled,
            total.refunded,
            total.turned_down,
            total.wrong_optimistic,
            total.wrong_colluding,
            total.dismissed,
            total.forged,
            total.crashes,
            total.batches,
            total.steps,
            total.simulated_ms,
        );
        return;
    }
    let hours = total.simulated_ms as f64 / 3_600_000.0;
    let start = if std::io::stdout().is_terminal() {
        "\r"
    } else {
        ""
    };
    println!(
        "{start}{seeds} worlds, {hours:.1} simulated hours, {} inputs",
        total.steps
    );
    println!(
        "  jobs        {} taken, {} turned down",
        total.jobs, total.turned_down
    );
    println!(
        "  ends        {} settled, {} refunded",
        total.settled, total.refunded
    );
    println!("  wrong       0 accepted against the rules");
    println!(
        "              {} of one miner alone (optimistic)",
        total.wrong_optimistic
    );
    println!(
        "              {} of colluders with the whole margin",
        total.wrong_colluding
    );
    println!("  redundancy  {redundancy:.2} miners hired for a settled job");
    println!(
        "  dismissed   {} miners, {} forged messages dropped",
        total.dismissed, total.forged
    );
    println!(
        "  crashes     {}, {} batches final",
        total.crashes, total.batches
    );
    println!("  violations  0");
    println!("  hash        {hash}");
}
