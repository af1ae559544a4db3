//! Where the two differ on purpose: the rows of SPEC.md, "Beside wasi-common", that scripts meet.

use crate::script::Step;

/// What both sides answered; nothing if the call ended the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers {
    pub ours: Option<u16>,
    pub theirs: Option<u16>,
}

impl Answers {
    /// Whether only one of the two worlds has changed, so that nothing more can be compared.
    pub fn part_ways(self) -> bool {
        (self.ours == Some(0)) != (self.theirs == Some(0))
    }

    fn are(self, ours: &[u16], theirs: &[u16]) -> bool {
        let is_in =
            |answer: Option<u16>, known: &[u16]| answer.is_some_and(|errno| known.contains(&errno));
        is_in(self.ours, ours) && is_in(self.theirs, theirs)
    }
}

const DONE: u16 = 0;
const BADF: u16 = 8;
const BUSY: u16 = 10;
const EXIST: u16 = 20;
const INVAL: u16 = 28;
const ISDIR: u16 = 31;
const NOENT: u16 = 44;
const NOTDIR: u16 = 54;
const NOTEMPTY: u16 = 55;
const NOTSUP: u16 = 58;
const PERM: u16 = 63;

/// One row of the table.
pub struct Difference {
    /// What we do and what they do.
    pub what: &'static str,
    is_it: fn(Step, Answers) -> bool,
}

/// The row that covers a step, if there is one.
pub fn find(step: Step, answers: Answers) -> Option<&'static Difference> {
    TABLE.iter().find(|row| (row.is_it)(step, answers))
}

const CREATE: u64 = 1;
const TRUNCATE: u64 = 8;
const APPEND: u64 = 1;

pub const TABLE: &[Difference] = &[
    Difference {
        what: "a path that starts at a file: notdir for every call, theirs only for path_open",
        is_it: |step, answers| path(step).is_some() && answers.are(&[NOTDIR], &[BADF]),
    },
    Difference {
        what: "flags are judged before descriptors and paths, theirs after",
        is_it: |step, answers| {
            matches!(step, Step::Open { .. })
                && answers.are(&[INVAL, NOTSUP], &[BADF, NOTDIR, NOTSUP, INVAL])
        },
    },
    Difference {
        what: "a seek's descriptor is judged before its sum, theirs after",
        is_it: |step, answers| matches!(step, Step::Seek { .. }) && answers.are(&[BADF], &[INVAL]),
    },
    Difference {
        what: "positions reach 2^63 - 1, theirs what the host's file system can hold",
        is_it: |step, answers| {
            matches!(
                step,
                Step::Seek {
                    delta: i64::MAX,
                    ..
                }
            ) && answers.are(&[DONE], &[INVAL])
        },
    },
    Difference {
        what: "flags that promise a disk are notsup for fd_fdstat_set_flags, theirs inval",
        is_it: |step, answers| {
            matches!(step, Step::SetFlags { .. }) && answers.are(&[NOTSUP], &[INVAL])
        },
    },
    Difference {
        what: "a size is set through a descriptor that may write, theirs through any that the host \
               opened for writing",
        is_it: |step, answers| {
            matches!(step, Step::SetSize { .. }) && answers.are(&[BADF], &[DONE, INVAL])
        },
    },
    Difference {
        what: "TRUNC cuts whatever the access, theirs wants FD_WRITE without APPEND",
        is_it: |step, answers| {
            matches!(step, Step::Open { oflags, rights, fdflags, .. }
                if oflags & TRUNCATE != 0 && (rights & 64 == 0 || fdflags & APPEND != 0))
                && answers.are(&[DONE, ISDIR, NOENT, NOTDIR, PERM], &[INVAL])
        },
    },
    Difference {
        what: "APPEND means nothing for a directory, theirs refuses it",
        is_it: |step, answers| {
            matches!(step, Step::Open { fdflags, .. } if fdflags & APPEND != 0)
                && answers.are(&[DONE], &[ISDIR])
        },
    },
    Difference {
        what: "CREAT of a name with a slash looks at what is there first, theirs does not",
        is_it: |step, answers| {
            matches!(step, Step::Open { oflags, path, .. }
                if oflags & CREATE != 0 && path.ends_with('/'))
                && answers.are(&[EXIST, NOTDIR], &[ISDIR])
        },
    },
    Difference {
        what: "a name with a slash that is a file is notdir, theirs exist",
        is_it: |step, answers| {
            matches!(step, Step::MakeDirectory { path, .. } if path.ends_with('/'))
                && answers.are(&[NOTDIR], &[EXIST])
        },
    },
    Difference {
        what: "a directory may be removed by its name and a slash, theirs refuses the slash",
        is_it: |step, answers| {
            matches!(step, Step::RemoveDirectory { path, .. } if path.ends_with('/'))
                && answers.are(&[DONE, NOTEMPTY], &[INVAL])
        },
    },
    Difference {
        what: "a rename from or to `.` or `..` is inval after both walks, theirs busy before",
        is_it: |step, answers| {
            matches!(step, Step::Rename { .. }) && answers.are(&[INVAL, NOENT, NOTDIR], &[BUSY])
        },
    },
    Difference {
        what: "a rename judges the old path whole before the new one, theirs both step by step",
        is_it: |step, answers| {
            matches!(step, Step::Rename { .. })
                && answers.are(&[INVAL, NOTDIR], &[NOENT, NOTDIR, PERM])
        },
    },
    Difference {
        what: "a file is not renamed to a name with a slash, theirs looks at it without",
        is_it: |step, answers| {
            matches!(step, Step::Rename { to, .. } if to.1.ends_with('/'))
                && answers.are(&[NOTDIR], &[DONE, ISDIR, NOENT, NOTEMPTY])
        },
    },
    Difference {
        what: "a file renamed onto a directory above it is isdir, theirs notempty",
        is_it: |step, answers| {
            matches!(step, Step::Rename { .. }) && answers.are(&[ISDIR], &[NOTEMPTY])
        },
    },
];

/// The path of a step that has one.
fn path(step: Step) -> Option<&'static str> {
    match step {
        Step::Open { path, .. }
        | Step::StatPath { path, .. }
        | Step::SetTimesPath { path, .. }
        | Step::MakeDirectory { path, .. }
        | Step::RemoveDirectory { path, .. }
        | Step::Unlink { path, .. }
        | Step::ReadLink { path, .. } => Some(path),
        Step::Rename { from, .. } => Some(from.1),
        _ => None,
    }
}
