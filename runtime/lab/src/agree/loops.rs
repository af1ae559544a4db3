//! Loops that look as if they could be charged before they start, and loops that only nearly do.
//!
//! Every width, step, comparison and order of operands; bounds that are constants, unknown, or change
//! on the way; starts beside the points where numbers wrap; loops inside loops; rounds that trap.

use std::fmt::Write;

use anyhow::Result;

use super::random::Random;

const DEPTH_MAX: u32 = 3;
/// Locals per width; the last one of each is never stepped.
const LOCALS: u64 = 5;

/// The program at `index` of the seed's sequence.
pub(crate) fn module(seed: u64, index: u64) -> Result<Vec<u8>> {
    let mut writer = Writer {
        random: Random::new(seed ^ 0x1009, index),
        text: String::new(),
    };
    writer.text.push_str(
        r#"(module (memory (export "memory") 1) (func $leaf (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
        (func $f (param $s i32) (param $b0 i64) (local $a0 i32) (local $a1 i32) (local $a2 i32) (local $a3 i32) (local $a4 i32)
        (local $b1 i64) (local $b2 i64) (local $b3 i64) (local $b4 i64) (local $f f64)"#,
    );
    for local in 0..LOCALS {
        let (narrow, wide) = (writer.number(false), writer.number(true));
        // What is loaded is unknown to whoever reads the text.
        write!(
            writer.text,
            "(i32.store (i32.const {0}) (i32.const {narrow})) (i64.store (i32.const {1}) (i64.const {wide}))
            (local.set $a{local} (i32.load (i32.const {0}))) (local.set $b{local} (i64.load (i32.const {1})))",
            16 * local,
            16 * local + 8,
        )?;
    }
    for _ in 0..=writer.random.below(3) {
        writer.counted(DEPTH_MAX)?;
    }
    writer.text.push_str("(i32.store (i32.const 256) (local.get $a0)) (i64.store (i32.const 264) (local.get $b0)) (f64.store (i32.const 272) (local.get $f)))");
    let arg = writer.number(true);
    write!(
        writer.text,
        r#"(func (export "_start") (call $f (i32.const 1) (i64.const {arg}))))"#
    )?;
    Ok(wat::parse_str(&writer.text)?)
}

/// How a loop goes.
struct Plan {
    start: i64,
    by: i64,
    test: &'static str,
    bound: i64,
}

/// The same comparison with its operands turned round.
fn mirrored(test: &str) -> String {
    match test.split_at(1) {
        ("l", rest) => format!("g{rest}"),
        ("g", rest) => format!("l{rest}"),
        _ => test.to_owned(),
    }
}

struct Writer {
    random: Random,
    text: String,
}

impl Writer {
    fn pick(&mut self, among: &[&'static str]) -> &'static str {
        self.random.choose(among).unwrap_or_default()
    }

    /// Small, or beside a point where numbers of the width wrap.
    fn number(&mut self, is_wide: bool) -> i64 {
        let near = self.random.below(24).cast_signed() - 12;
        let (min, max) = match is_wide {
            true => (i64::MIN, i64::MAX),
            false => (i32::MIN.into(), i32::MAX.into()),
        };
        match self.random.below(8) {
            0 => min.saturating_add(near.max(0)),
            1 => max.saturating_sub(near.max(0)),
            2 => self.random.below(300).cast_signed(),
            3 => self.random.below(5_000).cast_signed(),
            _ => near,
        }
    }

    /// How a loop goes: from where, by how much, until when.
    fn plan(&mut self, ty: &'static str) -> Plan {
        let is_wide = ty == "i64";
        let (min, max) = match is_wide {
            true => (i64::MIN, i64::MAX),
            false => (i32::MIN.into(), i32::MAX.into()),
        };
        let start = self.number(is_wide);
        let by = self
            .random
            .choose(&[1, 1, 1, 2, 3, 4, 5, 8, 12, 64])
            .unwrap_or(1);
        let by = if self.random.once_in(3) { -by } else { by };
        // Most loops end soon; the others go nowhere in particular.
        if self.random.once_in(4) {
            let tests = [
                "ne", "lt_u", "lt_s", "le_u", "le_s", "gt_u", "gt_s", "ge_u", "ge_s", "eq",
            ];
            let (test, bound) = (self.pick(&tests), self.number(is_wide));
            return Plan {
                start,
                by,
                test,
                bound,
            };
        }
        let rounds = self.random.below(40).cast_signed();
        let test = match by > 0 {
            true => self.pick(&["ne", "ne", "lt_u", "lt_s", "le_u", "le_s"]),
            false => self.pick(&["ne", "ne", "gt_u", "gt_s", "ge_u", "ge_s"]),
        };
        let beside = if test == "ne" {
            0
        } else {
            self.random.below(3).cast_signed()
        };
        let bound = start.saturating_add(by * rounds + beside).clamp(min, max);
        Plan {
            start,
            by,
            test,
            bound,
        }
    }

    /// A loop with a local of its own, whose start may be known.
    fn counted(&mut self, depth: u32) -> Result<()> {
        let is_wide = self.random.once_in(2);
        let (ty, letter) = if is_wide { ("i64", 'b') } else { ("i32", 'a') };
        let counter = format!("${letter}{}", self.random.below(LOCALS - 1));
        let Plan {
            start,
            by,
            test,
            bound,
        } = self.plan(ty);
        if !self.random.once_in(8) {
            write!(self.text, "(local.set {counter} ({ty}.const {start}))")?;
        }
        let bound = if self.random.once_in(3) {
            write!(self.text, "(local.set ${letter}4 ({ty}.const {bound}))")?;
            format!("(local.get ${letter}4)")
        } else {
            format!("({ty}.const {bound})")
        };
        let step = match self.random.below(3) {
            0 => format!("({ty}.sub (local.get {counter}) ({ty}.const {}))", -by),
            1 => format!("({ty}.add ({ty}.const {by}) (local.get {counter}))"),
            _ => format!("({ty}.add (local.get {counter}) ({ty}.const {by}))"),
        };

        self.text.push_str("(loop ");
        let place = self.random.below(4);
        if place == 0 {
            write!(self.text, "(local.set {counter} {step})")?;
        }
        for _ in 0..self.random.below(3) {
            self.statement(depth)?;
        }
        if place == 1 || place == 3 {
            write!(self.text, "(local.set {counter} {step})")?;
        }
        if place < 2 && self.random.once_in(2) {
            self.statement(depth)?;
        }
        let value = match place {
            2 => format!("(local.tee {counter} {step})"),
            _ => format!("(local.get {counter})"),
        };
        let condition = match (self.random.below(12), is_wide) {
            (0, false) => value,
            (1, _) => format!("(i32.eqz ({ty}.eqz {value}))"),
            (2, _) => format!("({ty}.{} {bound} {value})", mirrored(test)),
            _ => format!("({ty}.{test} {value} {bound})"),
        };
        write!(self.text, "(br_if 0 {condition}))")?;
        Ok(())
    }

    /// Something a round does. Only some of it keeps the loop countable.
    fn statement(&mut self, depth: u32) -> Result<()> {
        let (one, two) = (self.random.below(LOCALS), self.random.below(LOCALS));
        match self.random.below(16) {
            0..=2 => write!(
                self.text,
                "(i32.store (i32.and (local.get $a{one}) (i32.const 0xffc)) (local.get $s))"
            )?,
            3 | 4 => write!(
                self.text,
                "(local.set $s (i32.add (local.get $s) (i32.xor (local.get $a{one}) (local.get $s))))"
            )?,
            5 => write!(
                self.text,
                "(local.set $f (f64.add (f64.mul (local.get $f) (f64.const 1.5)) (f64.convert_i32_s (local.get $a{one}))))"
            )?,
            6 => write!(
                self.text,
                "(f64.store (i32.const 2048) (f64.sub (local.get $f) (local.get $f)))"
            )?,
            7..=9 if depth > 0 => self.counted(depth - 1)?,
            10 => write!(self.text, "(local.set $s (call $leaf (local.get $s)))")?,
            11 => write!(
                self.text,
                "(if (i32.lt_u (local.get $a{one}) (local.get $a{two})) (then (local.set $s (i32.const 9))))"
            )?,
            // Now and then a bound or a counter changes on the way, or a round traps.
            12 if self.random.once_in(2) => write!(
                self.text,
                "(local.set $a{one} (i32.add (local.get $a{two}) (i32.const 1)))"
            )?,
            13 if self.random.once_in(3) => write!(
                self.text,
                "(local.set $s (i32.div_s (local.get $s) (i32.sub (local.get $a{one}) (i32.const 3))))"
            )?,
            14 if self.random.once_in(3) => write!(
                self.text,
                "(i64.store (i32.mul (local.get $a{one}) (i32.const 4096)) (local.get $b{two}))"
            )?,
            15 if self.random.once_in(3) => write!(
                self.text,
                "(memory.fill (i32.const 3000) (local.get $s) (i32.and (local.get $a{one}) (i32.const 127)))"
            )?,
            _ => write!(
                self.text,
                "(local.set $s (i32.rotl (local.get $s) (i32.const 5)))"
            )?,
        }
        Ok(())
    }
}
