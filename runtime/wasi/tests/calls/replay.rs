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

/// Makes random calls, and returns how many were answered and what is left of the run.
fn script(seed: u64, calls: u32) -> (u32, Finished, i64, Vec<u8>) {
    let mut random = Xorshift(seed | 1);
    let mut guest = Guest::with_files(&[("in.txt", "hello world"), ("dir/a", "a")]);
    guest.memory.fill(0);

    let mut answered = 0;
    for made in 0..calls {
        if made.is_multiple_of(16) {
            furnish(&mut guest, &mut random);
        }
        let function = Function::ALL[random.below(Function::ALL.len() as u64) as usize];
        let params = function.params().iter();
        let args: Vec<u64> = params
            .map(|parameter| random.argument(*parameter))
            .collect();

        // Most random calls end the run. Going on from the moment before reaches states that no
        // run without luck would.
        let before = guest.wasi.clone();
        guest.fuel = if random.below(8) == 0 { 220 } else { PLENTY };
        match guest.call(function, &args) {
            Ok(_) => answered += 1,
            Err(_) => guest.wasi = before,
        }
    }
    let (fuel, memory) = (guest.fuel, guest.memory.clone());
    (answered, guest.finish(), fuel, memory)
}

#[test]
fn a_hundred_thousand_random_calls_never_panic() {
    let mut answered = 0;
    for seed in 0..240u64 {
        let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (answers, finished, _, memory) = script(seed, 500);
        assert!(finished.stdout.len() <= 10 << 20 && finished.log.len() <= 64 << 10);
        assert_eq!(memory.len(), MEMORY_BYTES);
        answered += answers;
    }
    // A script of nothing but faults would show little.
    assert!(
        answered > 30_000,
        "only {answered} of 120,000 calls were answered"
    );
}

#[test]
fn the_same_script_gives_the_same_transcript() {
    for seed in 1..100 {
        assert_eq!(script(seed, 300), script(seed, 300), "seed {seed}");
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
