//! Which call a step makes, with what in memory.

use haar_wasi::Function::{self, *};

use super::{
    Arg::{self, Fd, Is},
    BUFFER, BUFFER_2, PATH, PATH_2, Pair, RESULT,
};
use crate::script::Step;

const AT_RESULT: Arg = Is(RESULT as u64);

/// The call that a step makes.
pub fn call(pair: &mut Pair, step: Step) -> (Function, Vec<Arg>) {
    moving(pair, step)
        .or_else(|| about_descriptor(step))
        .or_else(|| about_path(pair, step))
        .expect("every step is a call")
}

/// Calls that move bytes or positions, or open and close.
fn moving(pair: &mut Pair, step: Step) -> Option<(Function, Vec<Arg>)> {
    Some(match step {
        Step::Open {
            slot,
            path,
            oflags,
            rights,
            fdflags,
        } => {
            let [at, len] = pair.path(PATH, path);
            let args = vec![
                Fd(slot),
                Is(0),
                at,
                len,
                Is(oflags),
                Is(rights),
                Is(0),
                Is(fdflags),
                AT_RESULT,
            ];
            (PathOpen, args)
        }
        Step::Close { slot } => (FdClose, vec![Fd(slot)]),
        Step::Renumber { from, to } => (FdRenumber, vec![Fd(from), Fd(to)]),
        Step::Read { slot, len, at } => {
            let [list, count] = pair.list(&[(BUFFER, len)]);
            match at {
                None => (FdRead, vec![Fd(slot), list, count, AT_RESULT]),
                Some(at) => (FdPread, vec![Fd(slot), list, count, Is(at), AT_RESULT]),
            }
        }
        Step::Write { slot, lens, at } => {
            pair.put(BUFFER, &vec![b'w'; lens.0 as usize]);
            pair.put(BUFFER_2, &vec![b'v'; lens.1 as usize]);
            let [list, count] = pair.list(&[(BUFFER, lens.0), (BUFFER_2, lens.1)]);
            match at {
                None => (FdWrite, vec![Fd(slot), list, count, AT_RESULT]),
                Some(at) => (FdPwrite, vec![Fd(slot), list, count, Is(at), AT_RESULT]),
            }
        }
        Step::Seek {
            slot,
            delta,
            whence,
        } => (
            FdSeek,
            vec![Fd(slot), Is(delta as u64), Is(whence), AT_RESULT],
        ),
        Step::Tell { slot } => (FdTell, vec![Fd(slot), AT_RESULT]),
        Step::Strings { environment } => {
            let function = if environment { EnvironGet } else { ArgsGet };
            (function, vec![Is(BUFFER.into()), Is(BUFFER_2.into())])
        }
        _ => return None,
    })
}

/// Calls that say or change what a descriptor is.
fn about_descriptor(step: Step) -> Option<(Function, Vec<Arg>)> {
    Some(match step {
        Step::Stat { slot } => (FdFilestatGet, vec![Fd(slot), AT_RESULT]),
        Step::Fdstat { slot } => (FdFdstatGet, vec![Fd(slot), AT_RESULT]),
        Step::SetFlags { slot, flags } => (FdFdstatSetFlags, vec![Fd(slot), Is(flags)]),
        Step::SetRights { slot } => (FdFdstatSetRights, vec![Fd(slot), Is(2), Is(0)]),
        Step::SetSize { slot, size } => (FdFilestatSetSize, vec![Fd(slot), Is(size)]),
        Step::SetTimes { slot, flags } => (
            FdFilestatSetTimes,
            vec![Fd(slot), Is(7_000), Is(8_000), Is(flags)],
        ),
        Step::Sync {
            slot,
            only_data: true,
        } => (FdDatasync, vec![Fd(slot)]),
        Step::Sync { slot, .. } => (FdSync, vec![Fd(slot)]),
        Step::Advise { slot, advice } => (FdAdvise, vec![Fd(slot), Is(0), Is(1), Is(advice)]),
        Step::Allocate { slot } => (FdAllocate, vec![Fd(slot), Is(0), Is(1)]),
        Step::List { slot } => (
            FdReaddir,
            vec![Fd(slot), Is(BUFFER.into()), Is(4096), Is(0), AT_RESULT],
        ),
        Step::Prestat { slot, name_len: 0 } => (FdPrestatGet, vec![Fd(slot), AT_RESULT]),
        Step::Prestat { slot, name_len } => (
            FdPrestatDirName,
            vec![Fd(slot), AT_RESULT, Is(u64::from(name_len) - 1)],
        ),
        _ => return None,
    })
}

/// Calls that name a node.
fn about_path(pair: &mut Pair, step: Step) -> Option<(Function, Vec<Arg>)> {
    Some(match step {
        Step::StatPath { slot, path } => {
            let [at, len] = pair.path(PATH, path);
            (PathFilestatGet, vec![Fd(slot), Is(1), at, len, AT_RESULT])
        }
        Step::SetTimesPath { slot, path, flags } => {
            let [at, len] = pair.path(PATH, path);
            let args = vec![Fd(slot), Is(1), at, len, Is(7_000), Is(8_000), Is(flags)];
            (PathFilestatSetTimes, args)
        }
        Step::MakeDirectory { slot, path }
        | Step::RemoveDirectory { slot, path }
        | Step::Unlink { slot, path } => {
            let [at, len] = pair.path(PATH, path);
            let function = match step {
                Step::MakeDirectory { .. } => PathCreateDirectory,
                Step::RemoveDirectory { .. } => PathRemoveDirectory,
                _ => PathUnlinkFile,
            };
            (function, vec![Fd(slot), at, len])
        }
        Step::ReadLink { slot, path } => {
            let [at, len] = pair.path(PATH, path);
            (
                PathReadlink,
                vec![Fd(slot), at, len, Is(BUFFER.into()), Is(64), AT_RESULT],
            )
        }
        Step::Rename { from, to } => {
            let [at, len] = pair.path(PATH, from.1);
            let [to_at, to_len] = pair.path(PATH_2, to.1);
            (
                PathRename,
                vec![Fd(from.0), at, len, Fd(to.0), to_at, to_len],
            )
        }
        _ => return None,
    })
}
