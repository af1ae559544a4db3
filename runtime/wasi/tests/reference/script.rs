//! Made-up calls that make sense, most of them.

/// A small generator of our own, so that a seed means the same in ten years.
pub struct Xorshift(pub u64);

impl Xorshift {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// One step. A `slot` is the place of a descriptor in the list of those that were opened, because
/// the two sides may number them differently.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Open {
        slot: usize,
        path: &'static str,
        oflags: u64,
        rights: u64,
        fdflags: u64,
    },
    Close {
        slot: usize,
    },
    Renumber {
        from: usize,
        to: usize,
    },
    Read {
        slot: usize,
        len: u32,
        at: Option<u64>,
    },
    /// Two buffers, of which the second may be empty.
    Write {
        slot: usize,
        lens: (u32, u32),
        at: Option<u64>,
    },
    Seek {
        slot: usize,
        delta: i64,
        whence: u64,
    },
    Tell {
        slot: usize,
    },
    Stat {
        slot: usize,
    },
    Fdstat {
        slot: usize,
    },
    SetFlags {
        slot: usize,
        flags: u64,
    },
    SetRights {
        slot: usize,
    },
    SetSize {
        slot: usize,
        size: u64,
    },
    SetTimes {
        slot: usize,
        flags: u64,
    },
    Sync {
        slot: usize,
        only_data: bool,
    },
    Advise {
        slot: usize,
        advice: u64,
    },
    Allocate {
        slot: usize,
    },
    List {
        slot: usize,
    },
    Prestat {
        slot: usize,
        name_len: u32,
    },
    StatPath {
        slot: usize,
        path: &'static str,
    },
    SetTimesPath {
        slot: usize,
        path: &'static str,
        flags: u64,
    },
    MakeDirectory {
        slot: usize,
        path: &'static str,
    },
    RemoveDirectory {
        slot: usize,
        path: &'static str,
    },
    Unlink {
        slot: usize,
        path: &'static str,
    },
    ReadLink {
        slot: usize,
        path: &'static str,
    },
    Rename {
        from: (usize, &'static str),
        to: (usize, &'static str),
    },
    Strings {
        environment: bool,
    },
}

/// Names that exist at first, that may come to exist, and that never can.
const PATHS: [&str; 28] = [
    "a", "a", "b", "b", "d", "d", "d/x", "d/x", "d/e", "d/e", "d/e/y", "d/e/z", "n", "n", "n/m",
    "d/n", ".", "./a", "d/.", "d/..", "d/../a", "d//x", "a/", "d/", "n/", "a/x", "nope/x", "..",
];
const ODD_PATHS: [&str; 6] = ["", "/a", "d/../../a", "d/e/../../b", "a\0b", "./"];

/// Makes the next step; `slots` descriptors have been opened, slot 0 being the root.
pub fn step(random: &mut Xorshift, slots: usize) -> Step {
    let slot = random.below(slots + 1);
    let directory = if random.below(3) == 0 { slot } else { 0 };
    let path = if random.below(12) == 0 {
        random.pick(&ODD_PATHS)
    } else {
        random.pick(&PATHS)
    };
    match random.below(38) {
        0..8 => Step::Open {
            slot: directory,
            path,
            oflags: random.pick(&[0, 0, 0, 1, 1, 1, 2, 5, 8, 9, 3, 4]),
            rights: random.pick(&[2, 66, 66, 66, 64, 0]),
            fdflags: random.pick(&[0, 0, 0, 1, 4, 16]),
        },
        choice @ 8..29 => about_descriptor(random, choice, slot, slots),
        29..31 => Step::StatPath {
            slot: directory,
            path,
        },
        31 => Step::SetTimesPath {
            slot: directory,
            path,
            flags: random.below(16) as u64,
        },
        32 => Step::MakeDirectory {
            slot: directory,
            path,
        },
        33 => Step::RemoveDirectory {
            slot: directory,
            path,
        },
        34 => Step::Unlink {
            slot: directory,
            path,
        },
        35..37 => Step::Rename {
            from: (directory, path),
            to: (0, random.pick(&PATHS)),
        },
        _ => match random.below(3) {
            0 => Step::Strings { environment: true },
            1 => Step::Strings { environment: false },
            _ => Step::ReadLink {
                slot: directory,
                path,
            },
        },
    }
}

/// A step with a descriptor and no path.
fn about_descriptor(random: &mut Xorshift, choice: usize, slot: usize, slots: usize) -> Step {
    let at = random.pick(&[None, None, Some(0), Some(3), Some(9_000)]);
    match choice {
        8 => Step::Close { slot },
        9 => Step::Renumber {
            from: slot,
            to: random.below(slots + 1),
        },
        10..13 => Step::Read {
            slot,
            len: random.pick(&[0, 1, 5, 100, 9_000]),
            at,
        },
        13..17 => Step::Write {
            slot,
            lens: (random.pick(&[0, 1, 7, 5_000]), random.pick(&[0, 0, 3])),
            at,
        },
        17..19 => Step::Seek {
            slot,
            delta: random.pick(&[0, 1, -1, 4, -4, 8_000, i64::MAX, i64::MIN]),
            whence: random.below(3) as u64,
        },
        19 => Step::Tell { slot },
        20 => Step::Stat { slot },
        21 => Step::Fdstat { slot },
        22 => Step::SetFlags {
            slot,
            flags: random.pick(&[0, 1, 4, 5, 2, 16]),
        },
        23 => Step::SetRights { slot },
        24 => Step::SetSize {
            slot,
            size: random.pick(&[0, 1, 5, 4_096, 9_001]),
        },
        25 => Step::SetTimes {
            slot,
            flags: random.below(16) as u64,
        },
        26 => match random.below(4) {
            0 => Step::Advise {
                slot,
                advice: random.below(6) as u64,
            },
            1 => Step::Allocate { slot },
            more => Step::Sync {
                slot,
                only_data: more == 2,
            },
        },
        27 => Step::List { slot },
        _ => Step::Prestat {
            slot,
            name_len: random.below(3) as u32,
        },
    }
}
