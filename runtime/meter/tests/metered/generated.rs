//! Generated programs: results, memory and fuel of metered runs against the interpreter.

use std::fmt::Write;

use haar_meter::Ending;
use proptest::prelude::*;
use wasmtime::Val;

use crate::engine::{PLENTY, metered, run, run_metered, run_plain};
use crate::{naive, oracle};

/// Turns arbitrary bytes into a program that ends: loops count down, recursion has a bound.
struct Generator<'b> {
    choices: std::slice::Iter<'b, u8>,
    text: String,
    /// Loop counters in use; each nested loop has its own.
    loops: u32,
    has_floats: bool,
}

impl Generator<'_> {
    fn choose(&mut self, below: u8) -> u8 {
        self.choices.next().map_or(0, |byte| byte % below)
    }

    fn statements(&mut self, depth: u32) {
        for _ in 0..=self.choose(3) {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: u32) {
        let kinds = if depth == 0 { 8 } else { 20 };
        match self.choose(kinds) {
            0 => self.store(),
            1 => self.assign(),
            2 => self.wrap("(local.set $x (call $leaf ", "))", Self::integer),
            3 => self.wrap("(local.set $y (call_indirect (type $t) ", " (i32.and (local.get $y) (i32.const 1))))", Self::integer),
            4 => self.text.push_str("(drop (memory.grow (i32.and (local.get $x) (i32.const 1))))"),
            5 => self.text.push_str("(memory.fill (i32.const 512) (local.get $y) (i32.and (local.get $x) (i32.const 255)))"),
            6 if self.has_floats => self.wrap("(local.set $f ", ")", Self::float),
            7 if self.has_floats => self.wrap("(f64.store (i32.const 64) ", ")", Self::float),
            6 | 7 => self.wrap("(local.set $x (call $rec (i32.and (i32.const 7) ", ")))", Self::integer),
            8 | 9 => self.branching(depth - 1),
            10 if self.choose(2) == 0 => self.counted_loop(depth - 1),
            10 => self.straight_loop(),
            11 => self.table(depth - 1),
            12 => {
                self.wrap("(block (br_if 0 ", ")", Self::integer);
                self.statements(depth - 1);
                self.text.push(')');
            }
            13 => self.wrap("(if ", " (then (return (local.get $x))))", Self::integer),
            14 => self.operands(),
            15 => self.table_with_operands(),
            16 | 17 => self.loop_with_exit(depth - 1),
            18 => self.certain_abort(depth - 1),
            _ => self.dead_code(depth - 1),
        }
    }

    /// A label with an operand, reached by a `br_if` and by falling.
    fn operands(&mut self) {
        self.wrap(
            "(local.set $x (block (result i32) (drop (br_if 0 ",
            " ",
            Self::integer,
        );
        self.wrap("", ")) ", Self::integer);
        self.wrap("", "))", Self::integer);
    }

    fn table_with_operands(&mut self) {
        let before = "(local.set $y (block (result i32) (i32.add (i32.const 7) (block (result i32) (br_table 0 1 0 ";
        self.wrap(before, " ", Self::integer);
        self.wrap("", ")))))", Self::integer);
    }

    /// A loop that is left in the middle, or goes round from inside an `if`.
    fn loop_with_exit(&mut self, depth: u32) {
        let Some(counter) = self.open_loop() else {
            return;
        };
        let next = format!("(local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))");
        if self.choose(2) == 0 {
            self.text.push_str("(block (loop ");
            self.statements(depth);
            write!(self.text, "(br_if 1 (i32.eqz {next})) ").unwrap();
            self.statements(depth);
            self.text.push_str("(br 0)))");
        } else {
            write!(self.text, "(loop (if {next} (then ").unwrap();
            self.statements(depth);
            self.text.push_str("(br 1))))");
        }
        self.loops -= 1;
    }

    /// Code that always ends in `unreachable`, behind a condition that never holds.
    fn certain_abort(&mut self, depth: u32) {
        self.text
            .push_str("(if (i32.eq (i32.and (local.get $x) (i32.const 1)) (i32.const 2)) (then ");
        self.statements(depth);
        self.wrap("(if ", " (then unreachable)) ", Self::integer);
        self.statements(depth);
        self.text.push_str("unreachable))");
    }

    fn dead_code(&mut self, depth: u32) {
        self.text.push_str("(block ");
        self.statements(depth);
        self.text
            .push_str("(br 0) (loop (br_if 0 (i32.const 1)) (if (i32.const 1) (then (br 2) ");
        self.statements(depth);
        self.text.push_str("))))");
    }

    /// Sets a free counter to the number of rounds.
    fn open_loop(&mut self) -> Option<String> {
        if self.loops > 3 {
            return None;
        }
        let counter = format!("$c{}", self.loops);
        self.loops += 1;
        let rounds = 1 + self.choose(4);
        write!(self.text, "(local.set {counter} (i32.const {rounds})) ").unwrap();
        Some(counter)
    }

    fn wrap(&mut self, before: &str, after: &str, inside: fn(&mut Self, u32)) {
        self.text.push_str(before);
        inside(self, 3);
        self.text.push_str(after);
    }

    fn store(&mut self) {
        self.wrap(
            "(i32.store (i32.and (local.get $y) (i32.const 252)) ",
            ")",
            Self::integer,
        );
    }

    fn assign(&mut self) {
        let target = if self.choose(2) == 0 { "$x" } else { "$y" };
        write!(self.text, "(local.set {target} ").unwrap();
        self.integer(3);
        self.text.push(')');
    }

    fn branching(&mut self, depth: u32) {
        self.wrap("(if ", " (then ", Self::integer);
        self.statements(depth);
        self.text.push(')');
        if self.choose(2) == 0 {
            self.text.push_str(" (else ");
            self.statements(depth);
            self.text.push(')');
        }
        self.text.push(')');
    }

    fn counted_loop(&mut self, depth: u32) {
        let Some(counter) = self.open_loop() else {
            return;
        };
        self.text.push_str("(loop ");
        self.statements(depth);
        write!(
            self.text,
            "(br_if 0 (local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))))"
        )
        .unwrap();
        self.loops -= 1;
    }

    /// A loop whose rounds can be told before it starts, and perhaps another one in it.
    fn straight_loop(&mut self) {
        const START: [&str; 3] = [
            "(i32.const 100)",
            "(i32.add (i32.const 100) (i32.and (local.get $x) (i32.const 15)))",
            "(i32.add (i32.const 100) (i32.and (local.get $y) (i32.const 15)))",
        ];
        const STEPS: [i32; 6] = [1, -1, 4, -4, 12, -3];
        const UP: [&str; 5] = ["ne", "lt_u", "lt_s", "le_u", "le_s"];
        const DOWN: [&str; 5] = ["ne", "gt_u", "gt_s", "ge_u", "ge_s"];
        let index = self.loops;
        if index > 3 {
            return;
        }
        self.loops += 1;
        let start = START[usize::from(self.choose(3))];
        let step = STEPS[usize::from(self.choose(6))];
        let rounds = i32::from(1 + self.choose(6));
        let names = if step > 0 { UP } else { DOWN };
        let name = names[usize::from(self.choose(5))];
        let mut bound = format!("(i32.const {})", 100 + 16 * step * rounds);
        write!(self.text, "(local.set $c{index} {start})").unwrap();
        if self.choose(3) > 0 {
            bound = format!("(local.get $n{index})");
            write!(
                self.text,
                "(local.set $n{index} (i32.add (local.get $c{index}) (i32.const {})))",
                step * rounds
            )
            .unwrap();
        } else if name == "ne" {
            write!(self.text, "(local.set $c{index} (i32.const 100))").unwrap();
        }
        self.text.push_str("(loop ");
        self.straight_body();
        let next = format!("(i32.add (local.get $c{index}) (i32.const {step}))");
        match self.choose(3) {
            0 => write!(
                self.text,
                "(br_if 0 (i32.{name} (local.tee $c{index} {next}) {bound})))"
            ),
            1 => write!(
                self.text,
                "(local.set $c{index} {next}) (br_if 0 (i32.{name} (local.get $c{index}) {bound})))"
            ),
            _ => write!(
                self.text,
                "(i32.{name} (local.get $c{index}) {bound}) (local.set $c{index} {next}) (br_if 0))"
            ),
        }
        .unwrap();
        self.loops -= 1;
    }

    fn straight_body(&mut self) {
        for _ in 0..self.choose(3) {
            match self.choose(4) {
                0 => self.store(),
                1 => self.straight_loop(),
                _ => self
                    .text
                    .push_str("(local.set $x (i32.add (local.get $x) (local.get $y)))"),
            }
        }
    }

    fn table(&mut self, depth: u32) {
        self.wrap("(block (block (block (br_table 0 1 2 ", "))", Self::integer);
        self.statements(depth);
        self.text.push_str("(br 1))");
        self.statements(depth);
        self.text.push(')');
    }

    fn integer(&mut self, depth: u32) {
        const BINARY: [&str; 10] = [
            "add", "sub", "mul", "xor", "and", "or", "lt_u", "eq", "shl", "rotl",
        ];
        let kinds = if depth == 0 { 4 } else { 10 };
        match self.choose(kinds) {
            0 => self.text.push_str("(local.get $x)"),
            1 => self.text.push_str("(local.get $y)"),
            2 => {
                let value = self.choose(255);
                write!(self.text, "(i32.const {value})").unwrap();
            }
            3 => self
                .text
                .push_str("(i32.load (i32.and (local.get $x) (i32.const 252)))"),
            4 if self.has_floats => {
                self.text
                    .push_str("(i32.wrap_i64 (i64.shr_u (i64.reinterpret_f64 ");
                self.float(depth - 1);
                self.text.push_str(") (i64.const 44)))");
            }
            5 if self.has_floats => {
                self.text.push_str("(f64.lt ");
                self.float(depth - 1);
                self.text.push(' ');
                self.float(depth - 1);
                self.text.push(')');
            }
            6 => {
                self.text.push_str("(if (result i32) ");
                self.integer(depth - 1);
                self.text.push_str(" (then ");
                self.integer(depth - 1);
                self.text.push_str(") (else ");
                self.integer(depth - 1);
                self.text.push_str("))");
            }
            _ => {
                let name = BINARY[usize::from(self.choose(10))];
                write!(self.text, "(i32.{name} ").unwrap();
                self.integer(depth - 1);
                self.text.push(' ');
                self.integer(depth - 1);
                self.text.push(')');
            }
        }
    }

    fn float(&mut self, depth: u32) {
        const UNARY: [&str; 8] = [
            "neg", "abs", "sqrt", "ceil", "floor", "trunc", "nearest", "neg",
        ];
        const BINARY: [&str; 8] = ["add", "sub", "mul", "div", "min", "max", "copysign", "sub"];
        const LEAVES: [&str; 8] = [
            "(local.get $f)",
            "(f64.load (i32.const 64))",
            "(f64.const nan:0x4000000000123)",
            "(f64.const -inf)",
            "(f64.const 0)",
            "(f64.const -1.5)",
            "(f64.convert_i32_s (local.get $x))",
            "(f64.load (i32.const 1024))",
        ];
        match self.choose(if depth == 0 { 1 } else { 6 }) {
            0 => {
                let leaf = LEAVES[usize::from(self.choose(8))];
                self.text.push_str(leaf);
            }
            1 | 2 => {
                let name = UNARY[usize::from(self.choose(8))];
                write!(self.text, "(f64.{name} ").unwrap();
                self.float(depth - 1);
                self.text.push(')');
            }
            3 => {
                self.text.push_str("(select ");
                self.float(depth - 1);
                self.text.push(' ');
                self.float(depth - 1);
                self.text.push_str(" (local.get $y))");
            }
            _ => {
                let name = BINARY[usize::from(self.choose(8))];
                write!(self.text, "(f64.{name} ").unwrap();
                self.float(depth - 1);
                self.text.push(' ');
                self.float(depth - 1);
                self.text.push(')');
            }
        }
    }
}

fn program(choices: &[u8], has_floats: bool) -> String {
    let mut generator = Generator {
        choices: choices.iter(),
        text: String::new(),
        loops: 0,
        has_floats,
    };
    generator.statements(4);
    format!(
        r#"(module (memory (export "memory") 1 3) (func (export "_start"))
        (type $t (func (param i32) (result i32)))
        (table 2 funcref) (elem (i32.const 0) $leaf $rec8)
        (data (i32.const 1024) "\00\00\de\c0\ed\ab\f0\ff")
        (func $leaf (type $t) (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.const 1)))
        (func $rec8 (type $t) (call $rec (i32.and (local.get 0) (i32.const 7))))
        (func $rec (type $t)
            (if (result i32) (local.get 0)
                (then (i32.add (call $rec (i32.sub (local.get 0) (i32.const 1))) (local.get 0)))
                (else (i32.const 1))))
        (func (export "f") (param $x i32) (param $y i32) (result i32)
            (local $c0 i32) (local $c1 i32) (local $c2 i32) (local $c3 i32) (local $f f64)
            (local $n0 i32) (local $n1 i32) (local $n2 i32) (local $n3 i32)
            {}
            (f64.store (i32.const 2048) (local.get $f))
            (i32.xor (local.get $x) (local.get $y))))"#,
        generator.text
    )
}

fn check(choices: &[u8], x: i32, y: i32, has_floats: bool) -> Result<(), TestCaseError> {
    let wat = program(choices, has_floats);
    let args = [Val::I32(x), Val::I32(y)];
    let words = [u64::from(x.cast_unsigned()), u64::from(y.cast_unsigned())];
    let counted = oracle::run(&wat, "f", &words).unwrap();
    let ran = run(&wat, "f", &args, PLENTY);

    prop_assert_eq!(ran.ending, Ending::Returned);
    prop_assert_eq!(
        ran.results[0].unwrap_i32().cast_unsigned(),
        counted.results[0] as u32
    );
    prop_assert_eq!(ran.used, counted.fuel);
    prop_assert!(ran.memory == counted.memory, "memories differ");
    if !has_floats {
        let (results, memory) = run_plain(&wat, "f", &args).unwrap();
        prop_assert_eq!(results[0].unwrap_i32(), ran.results[0].unwrap_i32());
        prop_assert!(ran.memory == memory, "metering changed the memory");
        prop_assert_eq!(ran.used, naive::count(&wat, "f", &args));
    }

    // One unit less than it needs is not enough, wherever the checks stand.
    let module = metered(&wat);
    let exact = run_metered(&module, "f", &args, module.init_cost + counted.fuel);
    prop_assert_eq!(exact.ending, Ending::Returned);
    if counted.fuel > 0 {
        let short = run_metered(&module, "f", &args, module.init_cost + counted.fuel - 1);
        prop_assert_eq!(short.ending, Ending::OutOfFuel);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn integer_programs_give_the_same_answer_and_the_counted_fuel(
        choices in proptest::collection::vec(any::<u8>(), 0..400), x: i32, y: i32,
    ) {
        check(&choices, x, y, false)?;
    }

    #[test]
    fn float_programs_give_canonical_bits_and_the_counted_fuel(
        choices in proptest::collection::vec(any::<u8>(), 0..400), x: i32, y: i32,
    ) {
        check(&choices, x, y, true)?;
    }
}
