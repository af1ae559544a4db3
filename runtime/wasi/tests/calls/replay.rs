//! The same script gives the same transcript; no script makes the host panic.

use haar_wasi::{Ended, Finished, Function, Parameter};

use crate::{Guest, MEMORY_BYTES, PLENTY};

/// A small generator of our own, so that a seed means the same in ten years.
struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick(&mut self, from: &[u64]) -> u64 {
        from[self.below(from.len() as u64) as usize]
    }

    /// Numbers that calls are likely to have a meaning for, and some they cannot have.
    fn argument(&mut self, parameter: Parameter) -> u64 {
        match (self.below(16), parameter) {
            (0, _) => self.next(),
            (1, _) => self.pick(&[u64::MAX, 1 << 31, 1 << 32, 1 << 63, 0xFFFF_FFF8]),
            (2, _) => self.below(MEMORY_BYTES as u64),
            (3..=8, _) => self.below(10),
            (9, Parameter::I64) => self.pick(&[2, 64, 66, 1 << 20]),
            _ => 0x100 + self.below(64) * 0x100,
        }
    }
}

/// Makes a memory in which many addresses lead to paths, lists and subscriptions.
fn furnish(guest: &mut Guest, random: &mut Xorshift) {
    const NAMES: [&str; 10] = [
        "in.txt",
        "dir",
        "dir/a",
        "dir/../in.txt",
        "new",
        "new/",
        ".",
        "dir/b/c",
        "../x",
        "/abs",
    ];
    for at in (0..0x4100).step_by(0x20) {
        match random.below(4) {
            0 => {
                let name = NAMES[random.below(10) as usize];
                guest.put(at, name.as_bytes());
            }
            1 => {
                guest.put(at, &(random.below(0x4000) as u32).to_le_bytes());
                guest.put(at + 4, &(random.below(300) as u32).to_le_bytes());
            }
            2 => guest.put(at, &[0; 0x20]),
            _ => guest.put(at, &random.next().to_le_bytes()),
        }
    }
}

/// Makes up to `calls` random calls in one run, and returns what is left of it.
fn script(seed: u64, calls: u32) -> (u32, Finished, i64, Vec<u8>) {
    let mut random = Xorshift(seed | 1);
    let mut guest = Guest::with_files(&[("in.txt", "hello world"), ("dir/a", "a")]);
    guest.memory.fill(0);
    guest.fuel = if seed.is_multiple_of(5) {
        30_000
    } else {
        PLENTY
    };

    let mut made = 0;
    while made < calls {
        if made.is_multiple_of(16) {
            furnish(&mut guest, &mut random);
        }
        let function = Function::ALL[random.below(Function::ALL.len() as u64) as usize];
        let args: Vec<u64> = function
            .params()
            .iter()
            .map(|parameter| random.argument(*parameter))
            .collect();
        made += 1;
        match guest.call(function, &args) {
            Ok(_) => {}
            // Most random calls fault; go on from the state before, as another run would.
            Err(Ended::Fault | Ended::Exit(_) | Ended::OutOfFuel) => break,
        }
    }
    let (fuel, memory) = (guest.fuel, guest.memory.clone());
    (made, guest.finish(), fuel, memory)
}

#[test]
fn a_hundred_thousand_random_calls_never_panic() {
    let (mut made, mut seed) = (0, 0x9E37_79B9_7F4A_7C15u64);
    while made < 120_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (calls, finished, _, memory) = script(seed, 500);
        assert!(finished.stdout.len() <= 10 << 20 && finished.log.len() <= 64 << 10);
        assert_eq!(memory.len(), MEMORY_BYTES);
        made += calls;
    }
}

#[test]
fn the_same_script_gives_the_same_transcript() {
    for seed in 1..2_000 {
        assert_eq!(script(seed, 200), script(seed, 200), "seed {seed}");
    }
}

/// A short run of calls that every guest makes.
fn short_run(change: impl FnOnce(&mut haar_wasi::Environment)) -> Finished {
    let mut environment = crate::environment(&[("in.txt", "hello world")]);
    change(&mut environment);
    let mut guest = Guest::new(environment);
    guest.done(Function::ArgsGet, &[0x2000, 0x2100]);
    guest.done(Function::RandomGet, &[0x1000, 32]);
    guest.done(Function::ClockTimeGet, &[0, 0, 0x2000]);
    guest.read(0, 100).unwrap();
    guest.content("in.txt");
    guest.write(1, b"done").unwrap();
    assert_eq!(guest.call(Function::ProcExit, &[0]), Err(Ended::Exit(0)));
    guest.finish()
}

#[test]
fn whatever_the_guest_sees_is_in_the_transcript() {
    let plain = short_run(|_| {});
    assert_eq!(plain, short_run(|_| {}));
    assert_eq!(
        (plain.exit, plain.stdout.as_slice()),
        (Some(0), &b"done"[..])
    );

    let others = [
        short_run(|environment| environment.seed[31] ^= 1),
        short_run(|environment| environment.time_ns += 1),
        short_run(|environment| environment.stdin = std::sync::Arc::from(*b"the inpuT")),
        short_run(|environment| environment.args[1] = "y".into()),
        short_run(|environment| {
            environment
                .files
                .insert("in.txt".into(), std::sync::Arc::from(*b"hello worlD"));
        }),
    ];
    for other in others {
        assert_ne!(other.transcript, plain.transcript);
    }
}

#[test]
fn the_transcript_is_the_published_chain() {
    let mut guest = Guest::with_files(&[]);
    guest.done(Function::RandomGet, &[0x1000, 8]);
    let written = guest.bytes(0x1000, 8);

    let mut expected = vec![0; 32];
    expected.push(Function::RandomGet as u8);
    expected.extend(0x1000u64.to_le_bytes());
    expected.extend(8u64.to_le_bytes());
    expected.extend(written);
    expected.extend(8u64.to_le_bytes());
    expected.extend(0u16.to_le_bytes());
    expected.extend(guest.fuel.to_le_bytes());
    assert_eq!(guest.wasi.transcript(), *blake3::hash(&expected).as_bytes());
}

#[test]
fn random_bytes_are_one_stream_however_they_are_asked_for() {
    let mut expected = [0; 10_000];
    blake3::Hasher::new()
        .update(&[7; 32])
        .finalize_xof()
        .fill(&mut expected);

    let mut guest = Guest::with_files(&[]);
    let mut at = 0x1000;
    for len in [1, 63, 0, 4_097, 5_839] {
        guest.done(Function::RandomGet, &[at, len]);
        at += len;
    }
    assert_eq!(guest.bytes(0x1000, 10_000), expected);
}
