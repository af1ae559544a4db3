//! Float kernels, written as a compiler would: `run (rounds)` works on the first 64 KiB.

/// A function of one parameter over float locals, with a loop over `rounds` around it.
fn kernel(locals: &str, body: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 4) (func (export "_start"))
        (func (export "run") (param $rounds i32) (local $i i32) (local $j i32) (local $k i32) {locals}
            (loop $round {body}
                (br_if $round (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))))"#
    )
}

/// `body` for `$i` from `from` in steps below `to`.
fn counted(name: &str, from: u32, to: u32, step: u32, body: &str) -> String {
    format!(
        "(local.set ${name} (i32.const {from})) (loop ${name}l {body}
            (br_if ${name}l (i32.lt_u (local.tee ${name} (i32.add (local.get ${name}) (i32.const {step}))) (i32.const {to}))))"
    )
}

fn get(offset: u32) -> String {
    format!("(f64.load offset={offset} (local.get $i))")
}

fn stencil(unrolled: u32) -> String {
    let one = |nth: u32| {
        let at = 8 * nth;
        let sum = format!(
            "(f64.add (f64.add {} {}) {})",
            get(at),
            get(at + 8),
            get(at + 16)
        );
        format!(
            "(f64.store offset={} (local.get $i) (f64.mul {sum} (f64.const 0.333)))",
            65_536 + at
        )
    };
    let body: String = (0..unrolled).map(one).collect();
    kernel("", &counted("i", 0, 32_768, 8 * unrolled, &body))
}

/// As the unrolled stencil, with all loads before all stores.
fn stencil_loaded_first() -> String {
    let mut locals = String::new();
    let mut body = String::new();
    for nth in 0..6 {
        locals += &format!("(local $x{nth} f64)");
        body += &format!("(local.set $x{nth} {})", get(8 * nth));
    }
    for nth in 0..4 {
        body += &format!(
            "(f64.store offset={} (local.get $i) (f64.mul (f64.const 0.333)
                (f64.add (f64.add (local.get $x{nth}) (local.get $x{})) (local.get $x{}))))",
            65_536 + 8 * nth,
            nth + 1,
            nth + 2
        );
    }
    kernel(&locals, &counted("i", 0, 32_768, 32, &body))
}

fn polynomial() -> String {
    let mut value = String::from("(f64.const 0.1)");
    for nth in 0..8 {
        value = format!("(f64.add (f64.mul {value} (local.get $x)) (f64.const 0.{nth}1))");
    }
    let body = format!(
        "(local.set $x {}) (f64.store offset=65536 (local.get $i) {value})",
        get(0)
    );
    kernel("(local $x f64)", &counted("i", 0, 32_768, 8, &body))
}

fn dot() -> String {
    let body = format!(
        "(local.set $s (f64.add (local.get $s) (f64.mul {} (f64.load offset=32768 (local.get $i)))))",
        get(0)
    );
    let body = counted("i", 0, 32_768, 8, &body);
    let body = format!(
        "(local.set $s (f64.const 0)) {body} (f64.store offset=65536 (i32.const 0) (local.get $s))"
    );
    kernel("(local $s f64)", &body)
}

fn saxpy() -> String {
    let body =
        "(v128.store offset=65536 (local.get $i) (f32x4.add (v128.load offset=32768 (local.get $i))
        (f32x4.mul (v128.load (local.get $i)) (f32x4.splat (f32.const 1.5)))))";
    kernel("", &counted("i", 0, 32_768, 16, body))
}

fn matrix() -> String {
    let inner = "(local.set $s (f64.add (local.get $s) (f64.mul
        (f64.load (i32.add (i32.shl (local.get $i) (i32.const 6)) (local.get $k)))
        (f64.load offset=32768 (i32.add (i32.shl (local.get $k) (i32.const 6)) (local.get $j))))))";
    let inner = counted("k", 0, 512, 8, inner);
    let cell = format!(
        "(local.set $s (f64.const 0)) {inner}
        (f64.store offset=65536 (i32.add (i32.shl (local.get $i) (i32.const 6)) (local.get $j)) (local.get $s))"
    );
    let row = counted("j", 0, 512, 8, &cell);
    kernel("(local $s f64)", &counted("i", 0, 512, 8, &row))
}

/// Every pair of 16 bodies of 64 bytes: position, velocity, mass.
fn nbody() -> String {
    let axes = ["x", "y", "z"];
    let mut locals = String::from("(local $d f64) (local $m f64)");
    let (mut pair, mut square) = (String::new(), String::from("(f64.const 0.01)"));
    for (nth, axis) in axes.iter().enumerate() {
        let at = 8 * nth;
        locals += &format!("(local ${axis} f64)");
        pair += &format!(
            "(local.set ${axis} (f64.sub (f64.load offset={at} (local.get $i)) (f64.load offset={at} (local.get $j))))"
        );
        square = format!("(f64.add {square} (f64.mul (local.get ${axis}) (local.get ${axis})))");
    }
    pair += &format!(
        "(local.set $d {square})
        (local.set $m (f64.div (f64.const 0.001) (f64.mul (local.get $d) (f64.sqrt (local.get $d)))))"
    );
    for (body, op) in [("i", "sub"), ("j", "add")] {
        for (nth, axis) in axes.iter().enumerate() {
            let at = 24 + 8 * nth;
            pair += &format!(
                "(f64.store offset={at} (local.get ${body}) (f64.{op} (f64.load offset={at} (local.get ${body}))
                    (f64.mul (local.get ${axis}) (local.get $m))))"
            );
        }
    }
    let pairs = counted("i", 0, 1024, 64, &counted("j", 1024, 2048, 64, &pair));
    let mut step = String::new();
    for nth in 0..3 {
        let (at, velocity) = (8 * nth, 24 + 8 * nth);
        step += &format!(
            "(f64.store offset={at} (local.get $i) (f64.add {} (f64.mul (f64.const 0.001) {})))",
            get(at),
            get(velocity)
        );
    }
    kernel(
        &locals,
        &format!("{pairs} {}", counted("i", 0, 2048, 64, &step)),
    )
}

/// Each kernel: its name, rounds that take a fraction of a millisecond, its text.
pub fn kernels() -> Vec<(&'static str, i32, String)> {
    vec![
        ("stencil", 30, stencil(1)),
        ("stencil, unrolled", 30, stencil(4)),
        ("stencil, loads first", 30, stencil_loaded_first()),
        ("polynomial", 15, polynomial()),
        ("dot product", 15, dot()),
        ("saxpy f32x4", 50, saxpy()),
        ("nbody", 40, nbody()),
        ("matrix product", 1, matrix()),
    ]
}
