//! The same calls out of real guests, in wasmtime's memory instead of a `Vec`.

use haar_wasi::{Bytes, Ended, Errno, Function, Parameter, Wasi};
use wasmtime::{Caller, Engine, Extern, FuncType, Linker, Module, Store, Val, ValType, format_err};

use crate::prices::{CASES, prepared};
use crate::{Guest, PLENTY};

/// What stands behind the imports.
struct Host {
    wasi: Wasi,
    fuel: i64,
    ended: Option<Ended>,
}

fn signature(function: Function, parameter: fn(Parameter) -> String) -> String {
    let params: Vec<String> = function.params().iter().copied().map(parameter).collect();
    params.join(" ")
}

fn name(parameter: Parameter) -> String {
    match parameter {
        Parameter::I32 => "i32".into(),
        Parameter::I64 => "i64".into(),
    }
}

/// Imports of every function, by its own type.
fn imports() -> String {
    let mut text = String::new();
    for function in Function::ALL {
        let result = match function.returns_errno() {
            true => "(result i32)",
            false => "",
        };
        text += &format!(
            "(import \"{}\" \"{}\" (func ${} (param {}) {result}))\n",
            function.module(),
            function.name(),
            function.name(),
            signature(*function, name),
        );
    }
    text
}

/// A guest that makes any one call with the arguments that it is given.
fn caller() -> String {
    let mut text = format!("(module {} (memory (export \"memory\") 1)", imports());
    for function in Function::ALL {
        let args: String = (0..function.params().len())
            .map(|index| format!("(local.get {index})"))
            .collect();
        let after = match function.returns_errno() {
            true => "",
            false => "i32.const 0",
        };
        text += &format!(
            "(func (export \"{}\") (param {}) (result i32) (call ${} {args}) {after})\n",
            function.name(),
            signature(*function, name),
            function.name(),
        );
    }
    text + ")"
}

fn host(caller: &mut Caller<'_, Host>, function: Function, args: &[Val]) -> wasmtime::Result<i32> {
    let words: Vec<u64> = args
        .iter()
        .map(|arg| match arg {
            Val::I64(value) => value.cast_unsigned(),
            other => u64::from(other.unwrap_i32().cast_unsigned()),
        })
        .collect();
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(format_err!("a guest without memory"));
    };
    let (bytes, host) = memory.data_and_store_mut(caller);
    let outcome = host
        .wasi
        .call(function, &words, &mut Bytes(bytes), &mut host.fuel);
    outcome.map(|errno| errno.code().into()).map_err(|ended| {
        host.ended = Some(ended);
        format_err!("ended")
    })
}

fn compiled(text: &str) -> Module {
    Module::new(&Engine::default(), wat::parse_str(text).unwrap()).unwrap()
}

/// Starts a guest in the state of `guest`, calls one of its exports, and puts the state back.
fn run(
    guest: &mut Guest,
    module: &Module,
    export: &str,
    args: &[u64],
) -> Result<Option<i32>, Ended> {
    let engine = module.engine();
    let mut linker: Linker<Host> = Linker::new(engine);
    for &function in Function::ALL {
        let params = function.params().iter().map(|parameter| match parameter {
            Parameter::I32 => ValType::I32,
            Parameter::I64 => ValType::I64,
        });
        let results = function.returns_errno().then_some(ValType::I32);
        let ty = FuncType::new(engine, params, results);
        let call = move |mut caller: Caller<'_, Host>, args: &[Val], results: &mut [Val]| {
            let errno = host(&mut caller, function, args)?;
            if let [result] = results {
                *result = Val::I32(errno);
            }
            Ok(())
        };
        linker
            .func_new(function.module(), function.name(), ty, call)
            .unwrap();
    }

    let host = Host {
        wasi: guest.wasi.clone(),
        fuel: guest.fuel,
        ended: None,
    };
    let mut store = Store::new(engine, host);
    let instance = linker.instantiate(&mut store, module).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    memory.data_mut(&mut store).copy_from_slice(&guest.memory);

    let function = instance.get_func(&mut store, export).unwrap();
    let ty = function.ty(&store);
    let args: Vec<Val> = ty
        .params()
        .zip(args)
        .map(|(ty, arg)| match ty {
            ValType::I64 => Val::I64(arg.cast_signed()),
            _ => Val::I32((*arg as u32).cast_signed()),
        })
        .collect();
    let mut results = vec![Val::I32(0); ty.results().len()];
    let called = function.call(&mut store, &args, &mut results);

    guest.memory.copy_from_slice(memory.data(&store));
    let host = store.into_data();
    (guest.wasi, guest.fuel) = (host.wasi, host.fuel);
    match (called, host.ended) {
        (Ok(()), _) => Ok(results.first().map(Val::unwrap_i32)),
        (Err(_), Some(ended)) => Err(ended),
        (Err(error), None) => panic!("{export}: {error:#}"),
    }
}

#[test]
fn every_call_means_the_same_out_of_a_guest() {
    let module = compiled(&caller());
    for case in CASES {
        let (mut direct, mut guest) = (prepared(), prepared());
        let expected = direct.call(case.function, case.args);
        let found = run(&mut guest, &module, case.function.name(), case.args);

        let expected = expected.map(|errno| Some(i32::from(errno.code())));
        assert_eq!(found, expected, "{:?}", case.function);
        assert_eq!(guest.fuel, direct.fuel, "{:?}", case.function);
        assert!(guest.memory == direct.memory, "{:?}", case.function);
        assert_eq!(guest.finish(), direct.finish(), "{:?}", case.function);
    }
}

/// Reads `in.txt`, writes it to the output and to `out`, moves that, and leaves with its length.
const COPIES: &str = r#"
    (memory (export "memory") 1)
    (data (i32.const 64) "in.txt")
    (data (i32.const 80) "out")
    (data (i32.const 96) "dir/moved")
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 1024))
        (i32.store (i32.const 4) (i32.const 100))
        (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 6)
            (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
        (drop (call $fd_read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 20)))
        (drop (call $fd_close (i32.load (i32.const 16))))
        (i32.store (i32.const 4) (i32.load (i32.const 20)))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 24)))
        (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 80) (i32.const 3)
            (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)))
        (drop (call $fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1)
            (i32.const 24)))
        (drop (call $path_rename (i32.const 3) (i32.const 80) (i32.const 3)
            (i32.const 3) (i32.const 96) (i32.const 9)))
        (call $log (i32.const 64) (i32.const 6))
        (call $proc_exit (i32.load (i32.const 24)))))"#;

/// A guest that runs `COPIES`, with or without the exit at the end.
#[track_caller]
fn check_copies(text: &str, end: Result<Option<i32>, Ended>) -> Guest {
    let mut guest = Guest::with_files(&[("in.txt", "hello world"), ("dir/a", "a")]);
    for (at, text) in [(64, "in.txt"), (80, "out"), (96, "dir/moved")] {
        guest.put(at, text.as_bytes());
    }
    let module = compiled(&format!("(module {} {text}", imports()));
    assert_eq!(run(&mut guest, &module, "_start", &[]), end);
    assert!(guest.fuel < PLENTY);
    guest
}

#[test]
fn a_guest_copies_a_file_and_leaves() {
    let mut guest = check_copies(COPIES, Err(Ended::Exit(11)));
    assert_eq!(guest.call(Function::SchedYield, &[]), Err(Ended::Exit(11)));
    let finished = guest.finish();
    assert_eq!(finished.stdout, b"hello world");
    assert_eq!(finished.log, b"in.txt");
    assert_eq!(finished.exit, Some(11));
}

#[test]
fn what_a_guest_moved_is_where_it_went() {
    let stays = COPIES.replace("(call $proc_exit (i32.load (i32.const 24)))", "");
    let mut guest = check_copies(&stays, Ok(None));
    assert_eq!(guest.content("dir/moved"), "hello world");
    assert_eq!(guest.stat("out"), Err(Errno::NoEntry));
}
