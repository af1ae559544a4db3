//! Kernels: one loop each around a few instructions, so that every price of the schedule is told apart.
//!
//! A *unit* is repeated in the body of one counted loop. Its operands come from memory, so that no
//! engine computes it beforehand; most units make two chains of dependent instructions, as real code
//! does. The kernels of `kernels/*.wat` are whole modules, for what does not fit into such a loop.

use anyhow::{Context, Result};

use super::subjects::{Origin, Subject};

/// A unit, how often it stands in the loop, and how often the loop runs.
struct Unit {
    name: &'static str,
    rounds: u32,
    times: usize,
    /// `@` stands for 16 times the number of the repetition, so that no two touch the same bytes.
    text: &'static str,
}

const fn unit(name: &'static str, rounds: u32, times: usize, text: &'static str) -> Unit {
    Unit {
        name,
        rounds,
        times,
        text,
    }
}

/// Locals of a unit: i32 `a b c p`, i64 `x y z`, f32 `f g h`, f64 `d e k`, v128 `v w u`.
const UNITS: [Unit; 58] = [
    unit(
        "integer",
        800_000,
        16,
        "(local.set $a (i32.add (local.get $a) (local.get $b))) (local.set $b (i32.xor (local.get $b) (local.get $a))) (local.set $x (i64.sub (local.get $x) (local.get $y))) (local.set $y (i64.or (local.get $y) (local.get $x)))",
    ),
    unit(
        "integer_chain",
        1_500_000,
        32,
        "(local.set $a (i32.add (i32.xor (local.get $a) (local.get $b)) (local.get $c)))",
    ),
    unit(
        "integer_wide",
        1_000_000,
        8,
        "(local.set $a (i32.add (local.get $a) (local.get $p))) (local.set $b (i32.xor (local.get $b) (local.get $p))) (local.set $c (i32.sub (local.get $c) (local.get $p))) (local.set $x (i64.add (local.get $x) (local.get $z))) (local.set $y (i64.xor (local.get $y) (local.get $z)))",
    ),
    unit(
        "shift",
        800_000,
        16,
        "(local.set $a (i32.rotl (i32.add (local.get $a) (local.get $b)) (i32.const 7))) (local.set $x (i64.xor (i64.shr_u (local.get $x) (i64.const 3)) (local.get $y)))",
    ),
    unit(
        "shift_by_variable",
        800_000,
        16,
        "(local.set $a (i32.rotl (local.get $a) (local.get $b))) (local.set $x (i64.shl (i64.xor (local.get $x) (local.get $y)) (local.get $z)))",
    ),
    unit(
        "compare",
        800_000,
        16,
        "(local.set $a (i32.add (local.get $a) (i32.lt_u (local.get $a) (local.get $b)))) (local.set $x (i64.add (local.get $x) (i64.extend_i32_u (i64.gt_s (local.get $x) (local.get $y)))))",
    ),
    unit(
        "widen",
        800_000,
        16,
        "(local.set $x (i64.add (i64.extend_i32_s (i32.wrap_i64 (local.get $x))) (local.get $y))) (local.set $a (i32.extend8_s (i32.add (local.get $a) (local.get $b))))",
    ),
    unit(
        "multiply",
        700_000,
        16,
        "(local.set $a (i32.mul (local.get $a) (local.get $b))) (local.set $x (i64.mul (local.get $x) (local.get $y)))",
    ),
    unit(
        "count_bits",
        700_000,
        16,
        "(local.set $a (i32.xor (i32.popcnt (local.get $a)) (local.get $b))) (local.set $x (i64.add (i64.clz (local.get $x)) (local.get $y))) (local.set $c (i32.add (i32.ctz (local.get $c)) (local.get $b)))",
    ),
    unit(
        "select",
        800_000,
        16,
        "(local.set $a (select (local.get $b) (local.get $a) (i32.and (local.get $a) (i32.const 1)))) (local.set $b (i32.add (local.get $b) (local.get $c)))",
    ),
    unit(
        "i32_divide",
        250_000,
        16,
        "(local.set $a (i32.add (i32.div_u (local.get $a) (local.get $b)) (local.get $c))) (local.set $c (i32.xor (i32.rem_u (local.get $c) (local.get $b)) (local.get $a)))",
    ),
    unit(
        "i32_divide_signed",
        250_000,
        16,
        "(local.set $a (i32.add (i32.div_s (local.get $a) (local.get $b)) (local.get $c))) (local.set $c (i32.xor (i32.rem_s (local.get $c) (local.get $b)) (local.get $a)))",
    ),
    unit(
        "i64_divide",
        200_000,
        16,
        "(local.set $x (i64.add (i64.div_u (local.get $x) (local.get $y)) (local.get $z))) (local.set $z (i64.xor (i64.rem_u (local.get $z) (local.get $y)) (local.get $x)))",
    ),
    unit(
        "i64_divide_signed",
        200_000,
        16,
        "(local.set $x (i64.add (i64.div_s (local.get $x) (local.get $y)) (local.get $z))) (local.set $z (i64.xor (i64.rem_s (local.get $z) (local.get $y)) (local.get $x)))",
    ),
    unit(
        "load",
        1_000_000,
        32,
        "(local.set $a (i32.add (local.get $a) (i32.load offset=@ (local.get $p))))",
    ),
    unit(
        "load_bytes",
        1_000_000,
        32,
        "(local.set $x (i64.xor (local.get $x) (i64.load8_u offset=@ (local.get $p))))",
    ),
    unit(
        "load_chain",
        700_000,
        32,
        "(local.set $p (i32.load offset=@ (local.get $p)))",
    ),
    unit(
        "load_random",
        300_000,
        16,
        "(local.set $a (i32.add (i32.mul (local.get $a) (i32.const 1664525)) (i32.const 1013904223))) (local.set $b (i32.add (local.get $b) (i32.load (i32.and (i32.shr_u (local.get $a) (i32.const 8)) (i32.const 0xffffc)))))",
    ),
    unit(
        "store",
        1_000_000,
        32,
        "(i32.store offset=@ (local.get $p) (local.get $a))",
    ),
    unit(
        "store_bytes",
        1_000_000,
        32,
        "(i64.store8 offset=@ (local.get $p) (local.get $x))",
    ),
    unit(
        "load_and_store",
        700_000,
        32,
        "(i64.store offset=@ (local.get $p) (i64.add (i64.load offset=@ (local.get $p)) (local.get $x)))",
    ),
    unit(
        "global",
        700_000,
        16,
        "(global.set $g (i32.add (global.get $g) (local.get $a))) (global.set $o (i64.xor (global.get $o) (local.get $x)))",
    ),
    unit(
        "memory_size",
        700_000,
        16,
        "(local.set $a (i32.add (local.get $a) (memory.size)))",
    ),
    unit(
        "moves",
        1_000_000,
        32,
        "(drop (local.get $a)) (drop (i32.const 7)) (local.set $a (local.get $b)) (local.set $b (local.get $c)) (local.set $c (local.get $a))",
    ),
    unit(
        "constants",
        1_000_000,
        32,
        "(local.set $x (i64.const 0x123456789abcdef)) (local.set $d (f64.const 0.1)) (local.set $a (i32.const 77777))",
    ),
    unit(
        "br_if_untaken",
        1_000_000,
        32,
        "(br_if $out (i32.eqz (local.get $p)))",
    ),
    unit(
        "br_if_foreseen",
        700_000,
        16,
        "(block $skip (br_if $skip (i32.and (local.get $n) (i32.const 1))) (local.set $a (i32.add (local.get $a) (local.get $b))))",
    ),
    unit(
        "br_if_random",
        150_000,
        16,
        "(local.set $a (i32.add (i32.mul (local.get $a) (i32.const 1664525)) (i32.const 1013904223))) (block $skip (br_if $skip (i32.and (i32.shr_u (local.get $a) (i32.const 20)) (i32.const 1))) (i32.store offset=@ (local.get $p) (local.get $a)))",
    ),
    unit(
        "if_else",
        700_000,
        16,
        "(if (i32.and (local.get $n) (i32.const 1)) (then (local.set $a (i32.add (local.get $a) (local.get $b)))) (else (local.set $a (i32.xor (local.get $a) (local.get $c)))))",
    ),
    unit(
        "if_random",
        150_000,
        16,
        "(local.set $a (i32.add (i32.mul (local.get $a) (i32.const 1664525)) (i32.const 1013904223))) (if (i32.and (i32.shr_u (local.get $a) (i32.const 20)) (i32.const 1)) (then (i32.store offset=@ (local.get $p) (local.get $a))) (else (i64.store offset=@ (local.get $p) (local.get $x))))",
    ),
    unit(
        "br",
        700_000,
        16,
        "(block $skip (if (local.get $p) (then (local.set $a (i32.add (local.get $a) (local.get $b))) (br $skip))) (local.set $x (i64.mul (local.get $x) (local.get $y))))",
    ),
    unit(
        "loop",
        300_000,
        16,
        "(loop $again (local.set $a (i32.add (local.get $a) (local.get $b))) (br_if $again (i32.eqz (local.get $p))))",
    ),
    unit(
        "float",
        300_000,
        16,
        "(local.set $d (f64.add (f64.mul (local.get $d) (local.get $e)) (local.get $k))) (local.set $f (f32.sub (f32.mul (local.get $f) (local.get $g)) (local.get $h)))",
    ),
    unit(
        "float_wide",
        500_000,
        16,
        "(local.set $d (f64.add (local.get $d) (local.get $k))) (local.set $e (f64.sub (local.get $e) (local.get $k))) (local.set $f (f32.add (local.get $f) (local.get $h))) (local.set $g (f32.sub (local.get $g) (local.get $h)))",
    ),
    unit(
        "float_compare",
        500_000,
        16,
        "(local.set $d (f64.add (local.get $d) (local.get $k))) (local.set $a (i32.add (local.get $a) (f64.lt (local.get $d) (local.get $e)))) (local.set $a (i32.add (local.get $a) (f64.eq (local.get $d) (local.get $k))))",
    ),
    unit(
        "float_round",
        300_000,
        16,
        "(local.set $d (f64.nearest (f64.add (local.get $d) (local.get $e)))) (local.set $f (f32.floor (f32.add (local.get $f) (local.get $g))))",
    ),
    unit(
        "float_min_max",
        300_000,
        16,
        "(local.set $d (f64.min (f64.add (local.get $d) (local.get $k)) (local.get $e))) (local.set $f (f32.max (f32.sub (local.get $f) (local.get $h)) (local.get $g)))",
    ),
    unit(
        "float_bits",
        500_000,
        16,
        "(local.set $d (f64.copysign (local.get $e) (f64.neg (local.get $d)))) (local.set $f (f32.reinterpret_i32 (i32.xor (i32.reinterpret_f32 (local.get $f)) (i32.and (local.get $a) (i32.const 1))))) (local.set $e (f64.abs (f64.neg (local.get $d))))",
    ),
    unit(
        "float_cast",
        300_000,
        16,
        "(local.set $f (f32.demote_f64 (f64.add (f64.promote_f32 (local.get $f)) (local.get $e))))",
    ),
    unit(
        "f32_divide",
        250_000,
        16,
        "(local.set $f (f32.div (local.get $g) (local.get $f))) (local.set $f (f32.div (local.get $h) (local.get $f)))",
    ),
    unit(
        "f64_divide",
        250_000,
        16,
        "(local.set $d (f64.div (local.get $e) (local.get $d))) (local.set $d (f64.div (local.get $k) (local.get $d)))",
    ),
    unit(
        "f32_root",
        300_000,
        16,
        "(local.set $f (f32.sqrt (f32.add (local.get $f) (local.get $g))))",
    ),
    unit(
        "f64_root",
        300_000,
        16,
        "(local.set $d (f64.sqrt (f64.add (local.get $d) (local.get $e))))",
    ),
    unit(
        "convert_signed",
        500_000,
        16,
        "(local.set $a (i32.add (local.get $a) (local.get $b))) (local.set $d (f64.add (local.get $d) (f64.convert_i32_s (local.get $a)))) (local.set $x (i64.add (local.get $x) (local.get $y))) (local.set $f (f32.add (local.get $f) (f32.convert_i64_s (local.get $x))))",
    ),
    unit(
        "convert_unsigned",
        300_000,
        16,
        "(local.set $x (i64.add (local.get $x) (local.get $y))) (local.set $d (f64.add (local.get $d) (f64.convert_i64_u (local.get $x)))) (local.set $f (f32.add (local.get $f) (f32.convert_i64_u (local.get $x))))",
    ),
    unit(
        "truncate",
        300_000,
        16,
        "(local.set $d (f64.add (local.get $d) (local.get $k))) (local.set $a (i32.add (local.get $a) (i32.trunc_f64_s (local.get $d)))) (local.set $x (i64.add (local.get $x) (i64.trunc_sat_f64_u (local.get $d))))",
    ),
    unit(
        "vector",
        600_000,
        16,
        "(local.set $v (i32x4.add (local.get $v) (local.get $w))) (local.set $w (v128.xor (local.get $w) (local.get $v))) (local.set $u (i8x16.sub (local.get $u) (i16x8.gt_s (local.get $u) (local.get $v))))",
    ),
    unit(
        "vector_memory",
        600_000,
        32,
        "(v128.store offset=@ (local.get $p) (v128.xor (v128.load offset=@ (local.get $p)) (local.get $v)))",
    ),
    unit(
        "vector_load",
        600_000,
        32,
        "(local.set $v (i32x4.add (local.get $v) (v128.load offset=@ (local.get $p))))",
    ),
    unit(
        "vector_shuffle",
        600_000,
        16,
        "(local.set $v (i8x16.shuffle 3 1 2 0 7 21 6 4 11 25 10 8 15 29 14 12 (local.get $v) (local.get $w))) (local.set $u (i8x16.swizzle (local.get $u) (local.get $w)))",
    ),
    unit(
        "vector_float",
        300_000,
        16,
        "(local.set $v (f32x4.add (f32x4.mul (local.get $v) (local.get $w)) (local.get $u)))",
    ),
    unit(
        "vector_min_max",
        300_000,
        16,
        "(local.set $v (f32x4.min (f32x4.add (local.get $v) (local.get $u)) (local.get $w))) (local.set $v (f64x2.max (local.get $v) (local.get $u)))",
    ),
    unit(
        "vector_i64_multiply",
        300_000,
        16,
        "(local.set $v (i64x2.mul (local.get $v) (local.get $w)))",
    ),
    unit(
        "vector_f32_divide",
        200_000,
        16,
        "(local.set $v (f32x4.div (local.get $w) (local.get $v))) (local.set $v (f32x4.div (local.get $u) (local.get $v)))",
    ),
    unit(
        "vector_f64_divide",
        200_000,
        16,
        "(local.set $v (f64x2.div (local.get $w) (local.get $v))) (local.set $v (f64x2.div (local.get $u) (local.get $v)))",
    ),
    unit(
        "vector_f32_root",
        200_000,
        16,
        "(local.set $v (f32x4.sqrt (f32x4.add (local.get $v) (local.get $w))))",
    ),
    unit(
        "vector_f64_root",
        200_000,
        16,
        "(local.set $v (f64x2.sqrt (f64x2.add (local.get $v) (local.get $w))))",
    ),
    unit(
        "vector_convert",
        200_000,
        16,
        "(local.set $v (f32x4.convert_i32x4_u (i32x4.trunc_sat_f32x4_u (f32x4.add (local.get $v) (local.get $u))))) (local.set $w (f64x2.convert_low_i32x4_u (i32x4.trunc_sat_f64x2_s_zero (local.get $w))))",
    ),
];

/// Whole modules by name.
const MODULES: [(&str, &str); 19] = [
    ("loop5", include_str!("kernels/loop5.wat")),
    ("collatz", include_str!("kernels/collatz.wat")),
    ("recursion", include_str!("kernels/recursion.wat")),
    ("nested", include_str!("kernels/nested.wat")),
    ("polynomial", include_str!("kernels/polynomial.wat")),
    ("dot", include_str!("kernels/dot.wat")),
    ("stencil", include_str!("kernels/stencil.wat")),
    ("saxpy", include_str!("kernels/saxpy.wat")),
    ("stream", include_str!("kernels/stream.wat")),
    ("switch", include_str!("kernels/switch.wat")),
    ("switch_random", include_str!("kernels/switch_random.wat")),
    ("calls", include_str!("kernels/calls.wat")),
    ("calls_indirect", include_str!("kernels/calls_indirect.wat")),
    ("locals", include_str!("kernels/locals.wat")),
    ("fill_short", include_str!("kernels/fill_short.wat")),
    ("copy_long", include_str!("kernels/copy_long.wat")),
    ("copy_far", include_str!("kernels/copy_far.wat")),
    ("grow", include_str!("kernels/grow.wat")),
    ("grow_at_once", include_str!("kernels/grow_at_once.wat")),
];

/// Every kernel, those of units first.
pub fn all() -> Result<Vec<Subject>> {
    let units = UNITS.iter().map(|unit| (unit.name, unit.module()));
    let modules = MODULES
        .iter()
        .map(|(name, text)| (*name, (*text).to_owned()));
    units
        .chain(modules)
        .map(|(name, text)| assemble(name, &text))
        .collect()
}

fn assemble(name: &str, text: &str) -> Result<Subject> {
    Ok(Subject {
        name: format!("k-{name}"),
        origin: Origin::Kernel,
        module: wat::parse_str(text).with_context(|| format!("the kernel {name} is no module"))?,
    })
}

impl Unit {
    fn module(&self) -> String {
        let body: String = (0..self.times)
            .map(|index| self.text.replace('@', &(index * 16).to_string()) + "\n")
            .collect();
        include_str!("kernels/unit.wat.in")
            .replace("ROUNDS", &self.rounds.to_string())
            .replace("BODY", &body)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_is_admitted_and_named_once() {
        let mut names = Vec::new();
        for kernel in all().unwrap() {
            let metered = haar_meter::meter(&kernel.module, &haar_meter::Profile::DESKTOP);
            assert!(metered.is_ok(), "{}: {metered:?}", kernel.name);
            names.push(kernel.name);
        }
        let kernels = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), kernels);
    }
}
