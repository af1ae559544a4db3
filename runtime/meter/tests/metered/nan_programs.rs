//! Random programs full of NaNs: every kind of value through every kind of way to every observer.

use std::fmt::Write;

/// The most loops inside one another.
const LOOPS_MAX: u32 = 3;

/// A type of value, and what the text calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    I32,
    F32,
    F64,
    V128,
}

impl Type {
    const FLOATS: [Self; 3] = [Self::F32, Self::F64, Self::V128];

    fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
        }
    }
}

/// Turns arbitrary bytes into a program that ends.
pub struct Programs<'b> {
    choices: std::slice::Iter<'b, u8>,
    text: String,
    loops: u32,
    /// Whether the helper function may be called.
    calls: bool,
}

/// A module whose export `f (i32, i32) → i32` computes on NaNs and leaves everything in memory.
pub fn program(choices: &[u8]) -> String {
    let mut programs = Programs {
        choices: choices.iter(),
        text: String::new(),
        loops: 0,
        calls: false,
    };
    let helper = programs.body(3, 2);
    programs.calls = true;
    let main = programs.body(10, 3);
    format!(
        r#"(module (memory (export "memory") 1) (func (export "_start"))
        (global $gf32 (mut f32) (f32.const 0)) (global $gf64 (mut f64) (f64.const nan:0x4000000000123))
        (global $gv128 (mut v128) (v128.const i64x2 0 0))
        (data (i32.const 0) "\bb\0b\00\00\00\00\f4\ff\aa\0a\00\00\00\00\f8\7f\bb\0b\a0\ff\aa\0a\c0\7f")
        (data (i32.const 24) "\00\00\00\00\00\00\f0\7f\00\00\00\00\00\00\f0\bf\00\00\80\7f\00\00\80\bf")
        (data (i32.const 48) "\00\00\c0\ff\01\00\80\7f\00\00\00\00\00\00\f8\ff\01\00\00\00\00\00\f0\7f")
        (func $h (param $x i32) (param $y i32) (param $f32_0 f32) (param $f64_0 f64) (param $v128_0 v128)
            (result f32 f64 v128) (local $f32_1 f32) (local $f64_1 f64) (local $v128_1 v128)
            (local $c0 i32) (local $c1 i32) (local $c2 i32)
            {helper} (local.get $f32_0) (local.get $f64_1) (local.get $v128_1))
        (func (export "f") (param $x i32) (param $y i32) (result i32)
            (local $f32_0 f32) (local $f64_0 f64) (local $v128_0 v128)
            (local $f32_1 f32) (local $f64_1 f64) (local $v128_1 v128)
            (local $c0 i32) (local $c1 i32) (local $c2 i32)
            {main}
            (f32.store (i32.const 2000) (local.get $f32_0)) (f32.store (i32.const 2004) (local.get $f32_1))
            (f64.store (i32.const 2008) (local.get $f64_0)) (f64.store (i32.const 2016) (local.get $f64_1))
            (v128.store (i32.const 2024) (local.get $v128_0)) (v128.store (i32.const 2040) (local.get $v128_1))
            (f32.store (i32.const 2056) (global.get $gf32)) (f64.store (i32.const 2060) (global.get $gf64))
            (v128.store (i32.const 2068) (global.get $gv128))
            (i32.add (local.get $x) (local.get $y))))"#
    )
}

impl Programs<'_> {
    fn body(&mut self, parts: u32, depth: u32) -> String {
        for _ in 0..parts {
            self.statements(depth);
        }
        std::mem::take(&mut self.text)
    }

    fn choose(&mut self, below: u8) -> u8 {
        self.choices.next().map_or(0, |byte| byte % below)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.choose(from.len() as u8))]
    }

    fn float(&mut self) -> Type {
        self.pick(&Type::FLOATS)
    }

    fn local(&mut self, ty: Type) -> String {
        match ty {
            Type::I32 => self.pick(&["$x", "$y"]).to_owned(),
            _ => format!("${}_{}", ty.name(), self.choose(2)),
        }
    }

    /// Writes a template: `@` stands for a value of `ty`, `#` for an i32 value.
    fn fill(&mut self, template: &str, ty: Type, depth: u32) {
        for part in template.chars() {
            match part {
                '@' => self.value(ty, depth),
                '#' => self.value(Type::I32, depth),
                other => self.text.push(other),
            }
        }
    }

    /// An address, sometimes not aligned, with an offset before it.
    fn address(&mut self) -> String {
        let offset = self.pick(&[0, 8, 16, 24, 4, 1, 128]);
        let local = self.local(Type::I32);
        let base = match self.choose(3) {
            0 => "(i32.const 64)".to_owned(),
            1 => "(local.get $c0)".to_owned(),
            _ => format!("(i32.and (local.get {local}) (i32.const 127))"),
        };
        format!("offset={offset} {base}")
    }
}

/// Statements.
impl Programs<'_> {
    fn statements(&mut self, depth: u32) {
        for _ in 0..=self.choose(3) {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: u32) {
        let ty = self.float();
        let (name, local) = (ty.name(), self.local(ty));
        let kinds = if depth == 0 { 7 } else { 13 };
        match self.choose(kinds) {
            0 | 1 => self.fill(&format!("(local.set {local} @)"), ty, 2),
            2 | 3 => {
                let address = self.address();
                self.fill(&format!("({name}.store {address} @)"), ty, 2);
            }
            4 => self.fill(&format!("(global.set $g{name} @)"), ty, 2),
            5 if self.calls => self.call(),
            5 | 6 => {
                let local = self.local(Type::I32);
                self.fill(&format!("(local.set {local} #)"), ty, 2);
            }
            7 => self.nest("(if # (then ", ") (else ", "))", depth),
            8 => self.nest("(if # (then ", ")) (block ", ")", depth),
            9 => self.nest("(block (br_if 0 #) ", " (br_if 0 #) ", ")", depth),
            10 => self.nest(
                "(block (block (block (br_table 0 1 2 1 #)) ",
                "(br 1)) ",
                ")",
                depth,
            ),
            11 => self.counted_loop(depth),
            _ => self.several(),
        }
    }

    fn nest(&mut self, before: &str, between: &str, after: &str, depth: u32) {
        self.fill(before, Type::I32, 2);
        self.statements(depth - 1);
        self.fill(between, Type::I32, 2);
        self.statements(depth - 1);
        self.text.push_str(after);
    }

    fn counted_loop(&mut self, depth: u32) {
        let counter = self.loops;
        if counter >= LOOPS_MAX {
            return;
        }
        self.loops += 1;
        let rounds = 1 + self.choose(4);
        write!(
            self.text,
            "(local.set $c{counter} (i32.const {rounds})) (loop "
        )
        .unwrap();
        self.statements(depth - 1);
        write!(
            self.text,
            "(br_if 0 (local.tee $c{counter} (i32.sub (local.get $c{counter}) (i32.const 1)))))"
        )
        .unwrap();
        self.loops -= 1;
    }

    fn call(&mut self) {
        self.text.push_str("(call $h ");
        for ty in [Type::I32, Type::I32, Type::F32, Type::F64, Type::V128] {
            self.value(ty, 1);
        }
        self.text.push(')');
        for ty in [Type::V128, Type::F64, Type::F32] {
            let local = self.local(ty);
            write!(self.text, "(local.set {local})").unwrap();
        }
    }

    /// A block, loop or `if` with several results or with parameters.
    fn several(&mut self) {
        let (first, second) = (self.float(), self.float());
        let (a, b) = (first.name(), second.name());
        self.value(first, 1);
        let opening = match self.choose(3) {
            0 => format!("(block (param {a}) (result {a} {b}) "),
            1 => format!("(loop (param {a}) (result {a} {b}) "),
            _ => format!("(if (param {a}) (result {a} {b}) # (then "),
        };
        let is_if = opening.starts_with("(if");
        self.fill(&opening, Type::I32, 1);
        self.value(second, 2);
        if is_if {
            self.text.push_str(") (else ");
            self.value(second, 2);
            self.text.push(')');
        }
        self.text.push(')');
        for ty in [second, first] {
            let local = self.local(ty);
            write!(self.text, "(local.set {local})").unwrap();
        }
    }
}

/// Values.
impl Programs<'_> {
    fn value(&mut self, ty: Type, depth: u32) {
        if depth == 0 || self.choose(6) == 0 {
            return self.leaf(ty);
        }
        if self.choose(4) == 0 {
            return self.joined(ty, depth - 1);
        }
        match ty {
            Type::I32 => self.integer(depth - 1),
            Type::F32 => self.scalar("f32", Type::F32, depth - 1),
            Type::F64 => self.scalar("f64", Type::F64, depth - 1),
            Type::V128 => self.vector(depth - 1),
        }
    }

    fn leaf(&mut self, ty: Type) {
        let name = ty.name();
        let local = self.local(ty);
        let address = self.address();
        let leaf = match (self.choose(4), ty) {
            (0 | 1, _) => format!("(local.get {local})"),
            (2, _) => format!("({name}.load {address})"),
            (_, Type::I32) => format!("(i32.const {})", self.choose(255)),
            (_, Type::V128) => self
                .pick(&[
                    "(v128.const f32x4 nan nan:0x200123 0 1)",
                    "(v128.const f64x2 nan -inf)",
                    "(v128.const i64x2 0 0)",
                    "(global.get $gv128)",
                ])
                .to_owned(),
            _ => {
                let constant = self.pick(&["0", "-1.5", "inf", "nan", "nan:0x200123", "-nan"]);
                match self.choose(3) {
                    0 => format!("(global.get $g{name})"),
                    1 => format!("({name}.convert_i32_s (local.get $y))"),
                    _ => format!("({name}.const {constant})"),
                }
            }
        };
        self.text.push_str(&leaf);
    }

    /// A value that several ways bring.
    fn joined(&mut self, ty: Type, depth: u32) {
        let (name, local) = (ty.name(), self.local(ty));
        let template = self.pick(&[
            "(if (result T) # (then @) (else @))",
            "(block (result T) (drop (br_if 0 @ #)) @)",
            "(block (result T) (br_if 0 @ #))",
            "(block (result T) (drop (block (result T) (br_table 0 1 0 @ #))) @)",
            "(block (result T) (drop (block (result T) (br_table 1 0 1 @ #))) (local.get L))",
            "(select @ @ #)",
            "(select (result T) @ @ #)",
            "(local.tee L @)",
            "(local.tee L @)",
            "(loop (result T) @)",
        ]);
        let template = template.replace('T', name).replace('L', &local);
        self.fill(&template, ty, depth);
    }

    fn scalar(&mut self, name: &str, ty: Type, depth: u32) {
        const UNARY: [&str; 8] = [
            "neg", "abs", "sqrt", "ceil", "floor", "trunc", "nearest", "neg",
        ];
        const BINARY: [&str; 9] = [
            "add", "sub", "mul", "div", "min", "max", "copysign", "add", "mul",
        ];
        match self.choose(6) {
            0 | 1 => {
                let op = self.pick(&UNARY);
                self.fill(&format!("({name}.{op} @)"), ty, depth);
            }
            2 => {
                let lane = self.choose(2);
                let lanes = if ty == Type::F32 { "f32x4" } else { "f64x2" };
                let template = format!("({lanes}.extract_lane {lane} @)");
                self.fill(&template, Type::V128, depth);
            }
            3 if ty == Type::F32 => self.fill("(f32.demote_f64 @)", Type::F64, depth),
            3 => self.fill("(f64.promote_f32 @)", Type::F32, depth),
            _ => {
                let op = self.pick(&BINARY);
                self.fill(&format!("({name}.{op} @ @)"), ty, depth);
            }
        }
    }

    fn vector(&mut self, depth: u32) {
        const UNARY: [&str; 6] = ["neg", "abs", "sqrt", "ceil", "trunc", "nearest"];
        const BINARY: [&str; 8] = ["add", "sub", "mul", "div", "min", "max", "pmin", "pmax"];
        const OTHER: [&str; 8] = [
            "(v128.or @ @)",
            "(v128.bitselect @ @ @)",
            "(i32x4.add @ @)",
            "(f32x4.demote_f64x2_zero @)",
            "(f64x2.promote_low_f32x4 @)",
            "(i8x16.shuffle 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 @ @)",
            "(i8x16.shuffle 4 5 6 7 12 13 14 15 16 17 18 19 28 29 30 31 @ @)",
            "(i8x16.shuffle 1 2 3 4 5 6 7 8 16 17 18 19 28 29 30 31 @ @)",
        ];
        let lanes = self.pick(&["f32x4", "f64x2"]);
        let scalar = if lanes == "f32x4" {
            Type::F32
        } else {
            Type::F64
        };
        match self.choose(7) {
            0 => {
                let op = self.pick(&UNARY);
                self.fill(&format!("({lanes}.{op} @)"), Type::V128, depth);
            }
            1 => self.fill(&format!("({lanes}.splat @)"), scalar, depth),
            2 => {
                let lane = self.choose(2);
                write!(self.text, "({lanes}.replace_lane {lane} ").unwrap();
                self.value(Type::V128, depth);
                self.value(scalar, depth);
                self.text.push(')');
            }
            3 | 4 => {
                let template = self.pick(&OTHER);
                self.fill(template, Type::V128, depth);
            }
            _ => {
                let op = self.pick(&BINARY);
                self.fill(&format!("({lanes}.{op} @ @)"), Type::V128, depth);
            }
        }
    }

    fn integer(&mut self, depth: u32) {
        const SEEING: [(&str, Type); 10] = [
            ("(i32.reinterpret_f32 @)", Type::F32),
            (
                "(i32.wrap_i64 (i64.shr_u (i64.reinterpret_f64 @) (i64.const 40)))",
                Type::F64,
            ),
            ("(f32.lt @ @)", Type::F32),
            ("(f64.ne @ @)", Type::F64),
            ("(i32.trunc_sat_f32_s @)", Type::F32),
            ("(i32x4.extract_lane 1 @)", Type::V128),
            ("(i32x4.bitmask @)", Type::V128),
            ("(i32x4.bitmask (f64x2.lt @ @))", Type::V128),
            ("(i32.xor @ @)", Type::I32),
            ("(i32.mul @ @)", Type::I32),
        ];
        let (template, ty) = self.pick(&SEEING);
        self.fill(template, ty, depth);
    }
}
