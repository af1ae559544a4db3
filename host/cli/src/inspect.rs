//! `haar inspect`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use console::{style, truncate_str};
use haar_meter::{FunctionReport, GuestKind, Profile, Refusal, Report, inspect};
use haar_records::{BlobHash, Fuel};
use haar_sandbox::EXPORT_INIT;
use serde_json::{Value, json};

use crate::{Done, out};

/// Functions that are listed without --all.
const FUNCTIONS_LISTED: usize = 20;
/// Imports and exports that are listed without --all.
const NAMES_LISTED: usize = 12;
/// Columns of the text.
const COLUMNS: usize = 80;
/// Where the text of a fact begins.
const FACT_COLUMN: usize = 13;
/// Pages that a usual call has.
const CALL_PAGES: u64 = 2_048;

/// Look into a module before it is published: whether it can run, and what its functions cost.
///
/// Exit code 0: it can run; 1: it cannot, and the reason is given with the byte and the function.
#[derive(Args)]
pub struct Inspect {
    /// The module.
    pub file: PathBuf,
    /// List every function, import and export, not only the dearest.
    #[arg(long)]
    pub all: bool,
}

impl Inspect {
    /// Reads the file and shows what the metering pass sees in it.
    pub async fn run(self, json: bool) -> Result<Done> {
        let bytes = read_module(&self.file)?;
        let look = move || (inspect(&bytes, &Profile::DESKTOP), BlobHash::of(&bytes));
        let (report, hash) = tokio::task::spawn_blocking(look)
            .await
            .context("the module could not be looked at")?;
        if json {
            out::record(&record(&report, hash));
        } else {
            self.show(&report, hash);
        }
        Ok(match report.admission {
            Ok(_) => Done::Yes,
            Err(_) => Done::No,
        })
    }

    fn show(&self, report: &Report, hash: BlobHash) {
        let name = self.file.file_name().unwrap_or(self.file.as_os_str());
        let name = clean(&name.to_string_lossy());
        out::line(format_args!(
            "{}  {}",
            style(name).bold(),
            out::bytes(report.bytes)
        ));
        fact("hash", &hash.to_string());
        show_admission(report);
        show_memory(report);
        if let Some(manifest) = &report.manifest {
            fact("manifest", &clean(&String::from_utf8_lossy(manifest)));
        }
        let most = if self.all { usize::MAX } else { NAMES_LISTED };
        let imports = report.imports.iter().map(|import| {
            let (module, name) = (&import.module, &import.name);
            format!("{module}.{name} ×{}", import.call_sites)
        });
        show_names("imports", imports.collect(), most);
        let exports = report.exports.iter().map(|export| match export.kind {
            "function" => export.name.clone(),
            kind => format!("{} ({kind})", export.name),
        });
        show_names("exports", exports.collect(), most);
        if exports_init(report) {
            fact(
                "init",
                "haar_init: haar publish runs it once, so that no call pays for it",
            );
        }
        if let Some(at) = report.unread_from {
            fact(
                "note",
                &format!("from byte {at} on nothing could be read; what follows is not shown"),
            );
        }
        self.show_functions(report);
    }

    fn show_functions(&self, report: &Report) {
        let functions = report.dearest();
        if functions.is_empty() {
            return;
        }
        if functions.iter().filter(|it| it.name.is_some()).count() <= report.exports.len() {
            fact(
                "names",
                "stripped: functions have numbers; strip = \"debuginfo\" in the build's profile keeps names",
            );
        }
        out::line("");
        let head = format!(
            "  {:<32}{:>8}{:>7}{:>9}{:>7}{:>6}{:>8}",
            "function", "bytes", "grown", "cost", "loops", "calls", "stack"
        );
        out::line(style(head).dim());
        let listed = if self.all {
            functions.len()
        } else {
            FUNCTIONS_LISTED
        };
        for function in functions.iter().take(listed) {
            out::line(row(function));
        }
        if functions.len() > listed {
            let rest = format!("  … {} more; --all lists them", functions.len() - listed);
            out::line(style(rest).dim());
        }
        show_totals(report);
    }
}

fn show_totals(report: &Report) {
    let totals = report.totals();
    let count = format!("all {}", grouped(totals.functions));
    let grown = grown(totals.metered_bytes, totals.body_bytes);
    let sums = format!(
        "  {count:<32}{:>8}{grown:>7}{:>9}{:>7}",
        grouped(totals.body_bytes),
        grouped(totals.static_cost),
        grouped(totals.loops),
    );
    out::line(style(sums).bold());
    out::line("");
    let mut legend = "cost: every instruction once, in fuel; what runs depends on branches and \
                      loops. loops: how many/how deep. stack: bytes that a call counts. grown: \
                      what metering adds."
        .to_owned();
    if totals.loops_precharged > 0 {
        let some = grouped(totals.loops_precharged);
        legend.push_str(&format!(
            " {some} loops are charged before they start and cost nothing more inside."
        ));
    }
    for line in wrapped(&legend, COLUMNS - 2) {
        out::line(style(format!("  {line}")).dim());
    }
}

/// Reads a module's file.
pub fn read_module(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read the module {}", path.display()))
}

/// Whether there is an initialisation to run.
pub fn exports_init(report: &Report) -> bool {
    let mut exports = report.exports.iter();
    exports.any(|export| export.name == EXPORT_INIT && export.kind == "function")
}

/// Why a module is refused, in one sentence with its place.
pub fn refused(refusal: &Refusal) -> String {
    let at = refusal.reason.offset();
    let at = at.map(|at| format!(" at byte {at}")).unwrap_or_default();
    let function = match (&refusal.function_name, refusal.function) {
        (Some(name), _) => format!(", in the function {}", demangled(name)),
        (None, Some(index)) => format!(", in function {index}"),
        (None, None) => String::new(),
    };
    format!("{at}{function}")
}

fn show_admission(report: &Report) {
    let kind = match report.kind {
        Some(GuestKind::Command) => "a program: _start, standard input and output",
        Some(GuestKind::Reactor) => "a function: haar_alloc and haar_run",
        None => "neither a program nor a function",
    };
    fact("kind", kind);
    match &report.admission {
        Ok(admitted) => {
            fact("admitted", &style("yes").green().to_string());
            fact(
                "metered",
                &format!(
                    "{} ({}); starting costs {} fuel",
                    out::bytes(admitted.metered_bytes),
                    grown(admitted.metered_bytes, report.bytes),
                    grouped(admitted.init_cost)
                ),
            );
        }
        Err(refusal) => {
            let code = refusal.reason.code();
            let text = format!("no: {code}{}", refused(refusal));
            fact("admitted", &style(text).red().to_string());
            fact("", &clean(&refusal.reason.to_string()));
            fact("next", refusal.advice);
        }
    }
}

fn show_memory(report: &Report) {
    let Some(memory) = report.memory else { return };
    let most = match (memory.pages_max, &report.admission) {
        (_, Ok(admitted)) => u64::from(admitted.pages_max),
        (Some(most), Err(_)) => most,
        (None, Err(_)) => Profile::DESKTOP.pages_max.into(),
    };
    let size = |pages: u64| out::bytes(pages.saturating_mul(65_536));
    fact(
        "memory",
        &format!(
            "{} pages ({}) at the start, {} of them data; {} pages ({}) at most",
            grouped(memory.pages_min),
            size(memory.pages_min),
            out::bytes(report.data_bytes),
            grouped(most),
            size(most)
        ),
    );
    if memory.pages_min > CALL_PAGES {
        let text = format!("a usual call has {CALL_PAGES} pages, so it cannot run this module");
        fact("", &style(text).yellow().to_string());
    }
}

fn show_names(what: &str, names: Vec<String>, most: usize) {
    let mut listed: Vec<String> = names.iter().take(most).map(|name| clean(name)).collect();
    if names.len() > most {
        listed.push(format!("… {} more", names.len() - most));
    }
    let text = if listed.is_empty() {
        "none".to_owned()
    } else {
        listed.join(", ")
    };
    fact(what, &text);
}

fn row(function: &FunctionReport) -> String {
    let name = match &function.name {
        Some(name) => demangled(name),
        None => format!("function {}", function.index),
    };
    let loops = match function.loops {
        0 => "–".to_owned(),
        loops => format!("{loops}/{}", function.loop_nesting),
    };
    let calls = function.calls + function.indirect_calls + function.host_calls;
    let dash = || "–".to_owned();
    let name = truncate_str(&name, 31, "…");
    format!(
        "  {}{}{:>8}{:>7}{:>9}{loops:>7}{calls:>6}{:>8}",
        name,
        " ".repeat(32_usize.saturating_sub(console::measure_text_width(&name))),
        grouped(function.body_bytes),
        function
            .metered_bytes
            .map_or_else(dash, |metered| grown(metered, function.body_bytes)),
        function.static_cost.map_or_else(|| "?".to_owned(), grouped),
        function
            .frame_bytes
            .map_or_else(dash, |bytes| grouped(bytes.into()))
    )
}

/// One fact, wrapped under its name.
fn fact(name: &str, text: &str) {
    let mut name = name;
    for line in wrapped(text, COLUMNS - FACT_COLUMN) {
        out::line(format_args!("  {name:<11}{line}"));
        name = "";
    }
}

/// Breaks a text at blanks. What has none, a hash for instance, may stand out.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        let width = console::measure_text_width(line) + 1 + console::measure_text_width(word);
        if !line.is_empty() && width > columns {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// By how much metering made it longer.
fn grown(metered: u64, original: u64) -> String {
    let Some(hundredths) = (metered * 100).checked_div(original) else {
        return "–".to_owned();
    };
    match hundredths.cast_signed() - 100 {
        less @ ..0 => format!("{less} %"),
        more => format!("+{more} %"),
    }
}

/// A number as fuel is written everywhere.
pub fn grouped(number: u64) -> String {
    Fuel(number).to_string()
}

/// A name as its author wrote it, without the hash that the compiler adds.
fn demangled(name: &str) -> String {
    clean(&format!("{:#}", rustc_demangle::demangle(name)))
}

/// Names come from strangers: nothing in them may steer the terminal.
fn clean(text: &str) -> String {
    let safe = |sign: char| if sign.is_control() { '\u{fffd}' } else { sign };
    text.chars().map(safe).collect()
}

/// The whole report in JSON.
fn record(report: &Report, hash: BlobHash) -> Value {
    let refusal = report.admission.as_ref().err().map(|refusal| {
        json!({
            "code": refusal.reason.code(), "reason": refusal.reason.to_string(),
            "offset": refusal.reason.offset(), "function": refusal.function,
            "function_name": refusal.function_name, "advice": refusal.advice,
        })
    });
    let metered = report.admission.as_ref().ok().map(|admitted| {
        json!({
            "bytes": admitted.metered_bytes, "init_cost": admitted.init_cost,
            "pages_min": admitted.pages_min, "pages_max": admitted.pages_max,
        })
    });
    let kind = report.kind.map(|kind| match kind {
        GuestKind::Command => "command",
        GuestKind::Reactor => "reactor",
    });
    let imports: Vec<Value> = report
        .imports
        .iter()
        .map(|it| json!({ "module": it.module, "name": it.name, "call_sites": it.call_sites }))
        .collect();
    let exports: Vec<Value> = report
        .exports
        .iter()
        .map(|it| json!({ "name": it.name, "kind": it.kind, "index": it.index }))
        .collect();
    let manifest = report.manifest.as_deref().map(|bytes| {
        // Anything may stand in it; what is no JSON is shown as text.
        let text = || Value::from(String::from_utf8_lossy(bytes));
        serde_json::from_slice(bytes).unwrap_or_else(|_| text())
    });
    let totals = report.totals();
    json!({
        "event": "inspected", "module": hash.to_string(), "bytes": report.bytes,
        "admitted": refusal.is_none(), "refusal": refusal, "metered": metered, "kind": kind,
        "memory": report.memory.map(|it| json!({ "pages_min": it.pages_min, "pages_max": it.pages_max })),
        "data_bytes": report.data_bytes, "manifest": manifest, "imports": imports,
        "exports": exports, "init": exports_init(report), "unread_from": report.unread_from,
        "functions": report.dearest().into_iter().map(function_record).collect::<Vec<_>>(),
        "totals": {
            "functions": totals.functions, "body_bytes": totals.body_bytes,
            "metered_bytes": totals.metered_bytes, "instructions": totals.instructions,
            "static_cost": totals.static_cost, "loops": totals.loops,
            "loops_precharged": totals.loops_precharged,
        },
    })
}

fn function_record(function: &FunctionReport) -> Value {
    json!({
        "index": function.index, "name": function.name, "offset": function.offset,
        "body_bytes": function.body_bytes, "metered_bytes": function.metered_bytes,
        "instructions": function.instructions, "static_cost": function.static_cost,
        "loops": function.loops, "loop_nesting": function.loop_nesting,
        "loops_precharged": function.loops_precharged, "calls": function.calls,
        "indirect_calls": function.indirect_calls, "host_calls": function.host_calls,
        "grows_memory": function.grows_memory, "frame_bytes": function.frame_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_signed() {
        assert_eq!(grown(150, 100), "+50 %");
        assert_eq!(grown(90, 100), "-10 %");
        assert_eq!(grown(5, 0), "–");
    }

    #[test]
    fn names_are_demangled_and_cannot_steer_the_terminal() {
        assert_eq!(
            demangled("_ZN4core3fmt5write17h0123456789abcdefE"),
            "core::fmt::write"
        );
        assert_eq!(demangled("plain_name"), "plain_name");
        assert_eq!(demangled("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
    }

    #[test]
    fn texts_are_broken_at_blanks_only() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("unbreakable", 3), ["unbreakable"]);
        assert_eq!(wrapped("", 3), [""]);
    }
}
