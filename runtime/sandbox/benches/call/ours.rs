//! The sandbox's own calls.

use std::sync::Barrier;
use std::time::Instant;

use haar_meter::{Profile, meter};
use haar_records::{BlobHash, Fuel, RunConfig, Status};
use haar_sandbox::{
    CodeCache, CodeId, Compiler, Prepared, RunSpec, Runner, Sandbox, SandboxConfig, preinit,
};

use crate::guest::Stack;
use crate::raw::{Raw, Settings};
use crate::table::{Long, Times, faults, head, long_head, long_row, row, text};
use crate::{CALLS, guest};

const FUEL_MAX: Fuel = Fuel(10_000_000_000);
/// Modules that were never seen before.
const UNSEEN: u32 = 20;
/// Loads from the cache on disk.
const LOADS: usize = 300;
const INPUT: &[u8] = &[0; 64];

fn sandbox() -> Sandbox {
    Sandbox::new(SandboxConfig {
        concurrency: 2,
        prepared_max: 64,
    })
    .unwrap()
}

fn config(module: &[u8]) -> RunConfig {
    RunConfig::for_call(BlobHash::of(module), BlobHash::of(INPUT))
}

fn profile(config: &RunConfig) -> Profile {
    Profile {
        stack_limit: config.profile.stack_limit,
        pages_max: config.memory_pages_max,
        simd: config.profile.simd,
    }
}

fn spec<'a>(config: &'a RunConfig, input: &'a [u8]) -> RunSpec<'a> {
    RunSpec {
        input,
        config,
        fuel_max: FUEL_MAX,
    }
}

fn call(runner: &Runner<'_>, prepared: &Prepared, spec: &RunSpec<'_>) -> Vec<u8> {
    let run = runner.run(prepared, spec).unwrap();
    assert_eq!(run.outcome.status, Status::Returned, "{run:?}");
    run.output
}

/// Instantiate, call, drop, of a module that is prepared.
pub fn print_warm(stack: Stack) {
    let module = guest::reactor(stack, 1);
    let config = config(&module);
    let metered = meter(&module, &profile(&config)).unwrap().bytes;
    let floor = Raw::new(Settings::OURS, &module);
    let floor_metered = Raw::new(Settings::OURS, &metered);
    let sandbox = sandbox();
    let prepared = sandbox.prepare(&module, &config).unwrap();
    let spec = spec(&config, INPUT);

    println!(
        "reactor of {} bytes, {} metered, with a stack of {}",
        module.len(),
        metered.len(),
        stack.name()
    );
    head("warm: instantiate, call, drop", "/ floor");
    let instantiate = Times::of(CALLS, || floor.instantiate());
    let unmetered = Times::of(CALLS, || floor.call(INPUT));
    row("engine alone: instantiate, drop", &instantiate, &unmetered);
    row(
        "engine alone, not metered (the floor)",
        &unmetered,
        &unmetered,
    );
    let metered = Times::of(CALLS, || floor_metered.call(INPUT));
    row("engine alone, metered", &metered, &unmetered);
    let ours = sandbox
        .with_runner(|runner| Times::of(CALLS, || call(runner, &prepared, &spec)))
        .unwrap();
    row("sandbox, on one thread", &ours, &unmetered);
    for (thread, times) in two_threads(&sandbox, &prepared, &spec).iter().enumerate() {
        let name = format!("sandbox, two threads at once: thread {}", thread + 1);
        row(&name, times, &unmetered);
    }
    let queued = Times::of(CALLS, || sandbox.run(&prepared, &spec).unwrap());
    row(
        "sandbox, through the queue to another thread",
        &queued,
        &unmetered,
    );

    let ours = sandbox.with_runner(|runner| faults(|| call(runner, &prepared, &spec)));
    for (name, faults) in [
        ("instantiate, drop", faults(|| floor.instantiate())),
        ("engine alone, not metered", faults(|| floor.call(INPUT))),
        ("sandbox", ours.unwrap()),
    ] {
        if let Some(faults) = faults {
            println!("  page faults of a call, {name}: {faults:.2}");
        }
    }
    println!();
}

/// Compiled Rust functions, with a libc, an allocator and, in one of them, JSON.
pub fn print_examples() {
    let sandbox = sandbox();
    let mut is_first = true;
    for (name, input) in [
        ("wordcount", &b"one two two"[..]),
        ("mandelbrot", &b"no tile"[..]),
    ] {
        let Some(module) = guest::example(name) else {
            continue;
        };
        let config = config(&module);
        let prepared = sandbox.prepare(&module, &config).unwrap();
        let spec = spec(&config, input);
        let (times, faults) = sandbox
            .with_runner(|runner| {
                let times = Times::of(CALLS, || call(runner, &prepared, &spec));
                (times, faults(|| call(runner, &prepared, &spec)))
            })
            .unwrap();
        if std::mem::take(&mut is_first) {
            println!("examples, warm, on one thread");
        }
        println!(
            "  {name:<12} {:>8} bytes {:>10} {:>10}  {:.1} page faults",
            module.len(),
            text(times.p50()),
            text(times.p99()),
            faults.unwrap_or(f64::NAN)
        );
    }
    println!();
}

fn two_threads(sandbox: &Sandbox, prepared: &Prepared, spec: &RunSpec<'_>) -> Vec<Times> {
    let barrier = Barrier::new(2);
    let measure = || {
        sandbox
            .with_runner(|runner| {
                barrier.wait();
                Times::of(CALLS, || call(runner, prepared, spec))
            })
            .unwrap()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(measure);
        vec![measure(), other.join().unwrap()]
    })
}

/// The ways into a guest, on guests that do next to nothing.
pub fn print_entries() {
    let sandbox = sandbox();
    let with_table = guest::with_table();
    let kept = preinit(&with_table).unwrap().module;
    let measure = |module: &[u8]| {
        let config = config(module);
        let prepared = sandbox.prepare(module, &config).unwrap();
        sandbox
            .with_runner(|runner| {
                Times::of(CALLS, || call(runner, &prepared, &spec(&config, INPUT)))
            })
            .unwrap()
    };
    head("entries, warm, on one thread", "/ first");
    let first = measure(&kept);
    row(
        "reactor, its state kept by pre-initialisation",
        &first,
        &first,
    );
    row(
        "reactor, initialised in every call (4,096 steps)",
        &measure(&with_table),
        &first,
    );
    row(
        "command: _start, one fd_write",
        &measure(&guest::command()),
        &first,
    );
    println!();
}

/// From the cache on disk, and of modules that nobody has seen.
pub fn print_cold() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox();
    let compiler = Compiler::new().unwrap();
    let cache =
        CodeCache::open(&folder.path().join("code"), compiler.engine_id(), 1 << 30).unwrap();

    let module = guest::reactor(Stack::Default, 2);
    let config = config(&module);
    let id = CodeId::of(&module, &config);
    let artifact = compiler.compile(&module, &config).unwrap();
    println!(
        "its artifact has {} bytes of native code",
        artifact.code_bytes()
    );
    cache.put(&artifact).unwrap();
    let spec = spec(&config, INPUT);
    head("from the cache on disk", "/ all");
    let (find, load, run) = sandbox
        .with_runner(|runner| {
            let mut parts = [const { Vec::new() }; 3];
            for _ in 0..LOADS {
                let start = Instant::now();
                let file = cache.find(id).unwrap();
                let found = Instant::now();
                let prepared = sandbox.load_file(file, &cache.entry_key(id)).unwrap();
                let loaded = Instant::now();
                call(runner, &prepared, &spec);
                parts[0].push(found - start);
                parts[1].push(loaded - found);
                parts[2].push(loaded.elapsed());
            }
            let [find, load, run] = parts;
            (find, load, run)
        })
        .unwrap();
    let all: Vec<_> = (0..LOADS).map(|at| find[at] + load[at] + run[at]).collect();
    let all = Times::from(all);
    row("find: open, check owner and seal", &find.into(), &all);
    row("load: check the seal, map, link", &load.into(), &all);
    row("first call", &run.into(), &all);
    row("together", &all, &all);
    println!();
    print_unseen(&sandbox, &compiler);
}

fn print_unseen(sandbox: &Sandbox, compiler: &Compiler) {
    let modules: Vec<Vec<u8>> = (0..UNSEEN)
        .map(|salt| guest::reactor(Stack::Default, 100 + salt))
        .collect();
    let count = modules.len();
    let unmetered = Long::of(count, |at| {
        Raw::new(Settings::OURS, &modules[at]).call(INPUT)
    });
    let metered = Long::of(count, |at| {
        meter(&modules[at], &profile(&config(&modules[at]))).unwrap()
    });
    let compiled = Long::of(count, |at| {
        compiler
            .compile_here(&modules[at], &config(&modules[at]))
            .unwrap()
    });
    let all = sandbox
        .with_runner(|runner| {
            Long::of(count, |at| {
                let config = config(&modules[at]);
                let artifact = compiler.compile_here(&modules[at], &config).unwrap();
                let prepared = sandbox.load(&artifact).unwrap();
                call(runner, &prepared, &spec(&config, INPUT))
            })
        })
        .unwrap();
    long_head("never seen");
    long_row(
        "engine alone, not metered: start, compile, call (the floor)",
        &unmetered,
        &unmetered,
    );
    long_row("meter", &metered, &unmetered);
    long_row("meter, compile, serialise", &compiled, &unmetered);
    long_row("sandbox: meter, compile, load, call", &all, &unmetered);
    println!();
}

/// How fast the pass is.
pub fn print_meter() {
    println!("meter alone, by processor time");
    let mut modules = vec![("the reactor".to_owned(), guest::reactor(Stack::Default, 1))];
    for name in ["wordcount", "mandelbrot", "markdown"] {
        modules.extend(guest::example(name).map(|module| (name.to_owned(), module)));
    }
    for (name, module) in modules {
        let profile = profile(&config(&module));
        let long = Long::of(50, |_| meter(&module, &profile).unwrap());
        let megabytes = module.len() as f64 / 1e6 / long.processor.as_secs_f64();
        println!(
            "  {name:<12} {:>8} bytes {:>10}  {megabytes:>6.1} MB/s",
            module.len(),
            text(long.processor)
        );
    }
}
