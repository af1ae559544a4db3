//! Modules that are made to break compilers. Each ends in code or in a typed error within the limits,
//! and the next job is unharmed.

use std::time::{Duration, Instant};

use haar_sandbox::PrepareError;
use haar_sandbox::process::{CompileLimits, ConfinedConfig};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction,
    MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

use crate::harness::Test;
use crate::stage::{Stage, assemble};

pub const TESTS: &[Test] = &[
    ("a_compile_bomb_ends_in_code_or_in_a_typed_error", bombs),
    (
        "a_compiler_without_time_says_so_and_is_not_asked_again",
        no_time,
    ),
    ("a_compiler_without_memory_says_so", no_memory),
    ("a_compiler_that_is_late_is_killed", late),
];

/// What the parts of a bomb are: all other parts are small.
#[derive(Default)]
struct Bomb {
    /// Bodies of functions without parameters and results, and their locals.
    bodies: Vec<(u32, Vec<Instruction<'static>>)>,
    globals: u32,
    segments: u32,
    types: u32,
    params: usize,
    table: Option<u64>,
    pages: u64,
    imports: u32,
}

impl Bomb {
    fn build(self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let wide = vec![ValType::I64; self.params];
        for _ in 0..self.types {
            types.ty().function(wide.clone(), []);
        }
        let mut imports = ImportSection::new();
        types.ty().function([ValType::I32], []);
        for _ in 0..self.imports {
            let exit = EntityType::Function(self.types + 1);
            imports.import("wasi_snapshot_preview1", "proc_exit", exit);
        }
        let (functions, code) = self.functions();
        let mut tables = TableSection::new();
        if let Some(entries) = self.table {
            tables.table(TableType {
                element_type: RefType::FUNCREF,
                table64: false,
                minimum: entries,
                maximum: None,
                shared: false,
            });
        }
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: self.pages.max(1),
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut globals = GlobalSection::new();
        for _ in 0..self.globals {
            let mutable = GlobalType {
                val_type: ValType::I64,
                mutable: true,
                shared: false,
            };
            globals.global(mutable, &ConstExpr::i64_const(7));
        }
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        exports.export("_start", ExportKind::Func, self.imports);
        let mut data = DataSection::new();
        for number in 0..self.segments {
            data.active(0, &ConstExpr::i32_const((number % 60_000) as i32), [1, 2]);
        }

        let mut module = Module::new();
        module
            .section(&types)
            .section(&imports)
            .section(&functions)
            .section(&tables)
            .section(&memories)
            .section(&globals)
            .section(&exports)
            .section(&code)
            .section(&data);
        module.finish()
    }

    fn functions(&self) -> (FunctionSection, CodeSection) {
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        for (locals, body) in &self.bodies {
            functions.function(0);
            let mut function = Function::new([(*locals, ValType::I64)]);
            body.iter().for_each(|instruction| {
                function.instruction(instruction);
            });
            function.instruction(&Instruction::End);
            code.function(&function);
        }
        (functions, code)
    }
}

fn body(instructions: Vec<Instruction<'static>>) -> Bomb {
    Bomb {
        bodies: vec![(0, instructions)],
        ..Bomb::default()
    }
}

fn repeated(count: usize, piece: &[Instruction<'static>]) -> Vec<Instruction<'static>> {
    std::iter::repeat_n(piece, count)
        .flatten()
        .cloned()
        .collect()
}

/// As many of one thing inside each other.
fn nested(count: usize, open: Instruction<'static>) -> Vec<Instruction<'static>> {
    let mut all = repeated(count, &[open]);
    all.extend(repeated(count, &[Instruction::End]));
    all
}

/// The families, each with a size that is admitted and one that is not, or that no compiler likes.
fn families() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = control();
    all.extend(values());
    all.extend(parts());
    let mut built: Vec<_> = all
        .into_iter()
        .map(|(name, bomb)| (name, bomb.build()))
        .collect();
    built.push(("more bytes than admitted", vec![0; (32 << 20) + 1]));
    built
}

/// Much control flow.
fn control() -> Vec<(&'static str, Bomb)> {
    use Instruction as I;
    let mut all = Vec::new();
    for count in [499, 100_000] {
        all.push((
            "nested blocks",
            body(nested(count, I::Block(BlockType::Empty))),
        ));
        all.push((
            "nested loops",
            body(nested(count, I::Loop(BlockType::Empty))),
        ));
    }
    for count in [20_000, 200_000] {
        let piece = [I::Loop(BlockType::Empty), I::End];
        all.push(("empty loops", body(repeated(count, &piece))));
        let piece = [I::Block(BlockType::Empty), I::Br(0), I::End];
        all.push(("blocks that are left", body(repeated(count, &piece))));
    }
    for targets in [10_000_usize, 500_000] {
        let table = I::BrTable(vec![0; targets].into(), 0);
        let instructions = vec![I::Block(BlockType::Empty), I::I32Const(1), table, I::End];
        all.push(("a giant br_table", body(instructions)));
    }
    all
}

/// Many values that live at once, or hang on each other.
fn values() -> Vec<(&'static str, Bomb)> {
    use Instruction as I;
    let mut all = Vec::new();
    for locals in [8_000, 50_000] {
        let mut bomb = body(repeated(5_000, &[I::LocalGet(1), I::LocalSet(2)]));
        bomb.bodies[0].0 = locals;
        all.push(("locals", bomb));
    }
    for count in [30_000, 1_000_000] {
        let piece = [
            I::GlobalGet(0),
            I::I64Const(4),
            I::GlobalGet(1),
            I::I32WrapI64,
            I::Select,
            I::GlobalSet(0),
        ];
        let bomb = Bomb {
            globals: 2,
            ..body(repeated(count, &piece))
        };
        all.push(("select chains", bomb));
    }
    for count in [20_000, 300_000] {
        let mut instructions = vec![I::V128Const(1)];
        instructions.extend(repeated(
            count,
            &[I::V128Const(2), I::F32x4Div, I::F32x4Sqrt],
        ));
        instructions.push(I::Drop);
        all.push(("v128 chains", body(instructions)));
    }
    all
}

/// Too many parts of one kind.
fn parts() -> Vec<(&'static str, Bomb)> {
    let mut all = Vec::new();
    for functions in [100_000, 1_000_000] {
        let bomb = Bomb {
            bodies: vec![(0, vec![]); functions],
            ..Bomb::default()
        };
        all.push(("tiny functions", bomb));
    }
    for globals in [9_900, 100_000] {
        let bomb = Bomb {
            globals,
            ..body(vec![])
        };
        all.push(("globals", bomb));
    }
    for segments in [50_000, 100_000] {
        let bomb = Bomb {
            segments,
            ..body(vec![])
        };
        all.push(("data segments", bomb));
    }
    for types in [9_900, 100_000] {
        let bomb = Bomb {
            types,
            params: 100,
            ..body(vec![])
        };
        all.push(("huge types", bomb));
    }
    for params in [500, 1_000] {
        let bomb = Bomb {
            types: 100,
            params,
            ..body(vec![])
        };
        all.push(("many parameters", bomb));
    }
    for entries in [1_000_000, 10_000_000] {
        let bomb = Bomb {
            table: Some(entries),
            ..body(vec![])
        };
        all.push(("a huge table", bomb));
    }
    let bomb = Bomb {
        pages: 65_536,
        ..body(vec![])
    };
    all.push(("a huge memory", bomb));
    let bomb = Bomb {
        imports: 100_000,
        ..body(vec![])
    };
    all.push(("imports", bomb));
    all
}

/// Less than a miner gives, so that the test is done sooner.
fn hasty(config: ConfinedConfig) -> ConfinedConfig {
    ConfinedConfig {
        compile: CompileLimits {
            cpu_seconds: 2,
            wall: Duration::from_secs(30),
            memory_bytes: 512 << 20,
        },
        ..config
    }
}

fn bombs() {
    let stage = Stage::with(hasty);
    for (name, module) in families() {
        let began = Instant::now();
        let ended = stage.prepare(&module);
        let ms = began.elapsed().as_millis();
        let how = match ended {
            Ok(_) => "compiled".to_owned(),
            Err(PrepareError::Refused { code, .. }) => code,
            Err(PrepareError::Compile { reason }) => reason,
            Err(error) => panic!("{name}: {error}"),
        };
        println!("  {name}, {} bytes: {how} ({ms} ms)", module.len());
        stage.assert_well();
    }
    let children = stage.confined.children();
    assert_eq!((children.died, children.escapes), (0, 0), "{children:?}");
}

/// Takes a compiler some seconds.
fn slow() -> Vec<u8> {
    let piece = [
        Instruction::Block(BlockType::Empty),
        Instruction::LocalGet(0),
        Instruction::I32WrapI64,
        Instruction::BrIf(0),
        Instruction::LocalGet(0),
        Instruction::LocalGet(1),
        Instruction::I64Mul,
        Instruction::LocalSet(2),
        Instruction::End,
    ];
    Bomb {
        bodies: vec![(8, repeated(20_000, &piece)); 12],
        ..Bomb::default()
    }
    .build()
}

#[track_caller]
fn check(limits: CompileLimits, module: &[u8], expected: &str) {
    let stage = Stage::with(|config| ConfinedConfig {
        compile: limits,
        ..config
    });
    let PrepareError::Compile { reason } = stage.prepare(module).unwrap_err() else {
        panic!("not stopped");
    };
    assert!(reason.contains(expected), "{reason}");

    // The same question soon after gets the same answer without another process.
    let stopped = stage.confined.children().compilers_stopped;
    assert_eq!(stopped, 1);
    let PrepareError::Compile { reason: again } = stage.prepare(module).unwrap_err() else {
        panic!("not stopped again");
    };
    assert_eq!(again, reason);
    assert_eq!(stage.confined.children().compilers_stopped, stopped);
}

const ROOMY: CompileLimits = CompileLimits {
    cpu_seconds: 60,
    wall: Duration::from_secs(120),
    memory_bytes: 1 << 30,
};

fn no_time() {
    let limits = CompileLimits {
        cpu_seconds: 1,
        ..ROOMY
    };
    check(limits, &slow(), "more than 1 s of processor time");
}

fn no_memory() {
    let limits = CompileLimits {
        memory_bytes: 40 << 20,
        ..ROOMY
    };
    check(limits, &slow(), "bytes of memory");
}

fn late() {
    let limits = CompileLimits {
        wall: Duration::from_millis(20),
        ..ROOMY
    };
    check(limits, &slow(), "more than 0.02 s");
    // An ordinary module needs no more than the usual.
    let stage = Stage::new();
    stage
        .prepare(&assemble(
            r#"(module (memory (export "memory") 1) (func (export "_start")))"#,
        ))
        .unwrap();
}
