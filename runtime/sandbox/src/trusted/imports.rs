//! Answers a trusted guest's imports through `wasi-common`, whose own linker belongs to another
//! wasmtime than ours.

use haar_meter::{EXPORT_FUEL, EXPORT_STATUS, STATUS_ENDED_BY_HOST, STATUS_OUT_OF_FUEL};
use haar_wasi::Function;
use wasi_common::WasiCtx;
use wasi_common::snapshots::preview_1::wasi_snapshot_preview1 as preview1;
use wasmtime::{Caller, Val, format_err};
use wiggle::GuestMemory;

use super::World;
use crate::desk::{Ended, global_of, memory_of, ready};

/// What every call costs, as in `haar-wasi`.
const CALL_COST: u64 = 200;

/// Answers one call: first its price, then its effect.
pub(super) fn answer(
    caller: &mut Caller<'_, World>,
    function: Function,
    args: &[u64],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let memory = memory_of(caller)?;
    let price = CALL_COST.saturating_add(bytes_moved(memory.data(&*caller), function, args) / 2);
    let fuel = global_of(caller, EXPORT_FUEL)?;
    let left = fuel.get(&mut *caller).i64().unwrap_or(-1);
    let left = left.saturating_sub(i64::try_from(price).unwrap_or(i64::MAX));
    fuel.set(&mut *caller, Val::I64(left))?;
    if left < 0 {
        return Err(end(caller, STATUS_OUT_OF_FUEL, Ended.into()));
    }

    match function {
        // Any code, where wasi-common has only 126 of them.
        Function::ProcExit => {
            caller.data_mut().exit_code = args.first().map(|code| *code as u32);
            return Err(end(caller, STATUS_ENDED_BY_HOST, Ended.into()));
        }
        Function::HaarLog => {
            let (bytes, world) = memory.data_and_store_mut(&mut *caller);
            return log(world, bytes, args);
        }
        _ => {}
    }
    let (bytes, world) = memory.data_and_store_mut(&mut *caller);
    let answered = call(&mut world.wasi, bytes, function, args);
    match answered.unwrap_or_else(|| Err("is not answered here".to_owned())) {
        Ok(errno) => {
            if let [result] = results {
                *result = Val::I32(errno);
            }
            Ok(())
        }
        Err(reason) => {
            let error = format_err!("{}.{}: {reason}", function.module(), function.name());
            Err(end(caller, STATUS_ENDED_BY_HOST, error))
        }
    }
}

/// Leaves the status behind and gives the error that unwinds.
fn end(caller: &mut Caller<'_, World>, status: i32, error: wasmtime::Error) -> wasmtime::Error {
    let set = global_of(caller, EXPORT_STATUS)
        .and_then(|global| global.set(&mut *caller, Val::I32(status)));
    match set {
        // The marker stands below the reason, where the class of the error is looked for.
        Ok(()) if error.is::<Ended>() => error,
        Ok(()) => wasmtime::Error::from(Ended).context(format!("{error:#}")),
        Err(failure) => failure,
    }
}

/// One line to the log. A pointer that leads nowhere loses the line and nothing else.
fn log(world: &mut World, memory: &[u8], args: &[u64]) -> wasmtime::Result<()> {
    use std::io::Write;
    if let [at, len] = args {
        let (at, len) = (*at as usize, *len as usize);
        let text = at.checked_add(len).and_then(|end| memory.get(at..end));
        let mut line = text.unwrap_or_default().to_vec();
        line.push(b'\n');
        // A full log loses lines as well.
        let _ = world.log.write_all(&line);
    }
    Ok(())
}

/// The bytes that a call may move: what its arguments ask for.
fn bytes_moved(memory: &[u8], function: Function, args: &[u64]) -> u64 {
    let arg = |place: usize| args.get(place).copied().unwrap_or(0);
    match function {
        Function::RandomGet | Function::HaarLog => arg(1),
        Function::FdReaddir => arg(2),
        Function::PathReadlink => arg(4),
        Function::FdRead
        | Function::FdPread
        | Function::FdWrite
        | Function::FdPwrite
        | Function::SockRecv
        | Function::SockSend => vectors(memory, arg(1), arg(2)),
        _ => 0,
    }
}

/// The sum of the lengths in an array of `{ address, length }`, as far as it is in memory.
fn vectors(memory: &[u8], at: u64, count: u64) -> u64 {
    let array = usize::try_from(at).ok().and_then(|at| memory.get(at..));
    let (vectors, _) = array.unwrap_or_default().as_chunks::<8>();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let length = |[_, _, _, _, length @ ..]: &[u8; 8]| u64::from(u32::from_le_bytes(*length));
    // Reading the array itself is work as well: a guest may give one of millions.
    vectors
        .iter()
        .take(count)
        .map(|vector| 8 + length(vector))
        .sum()
}

/// Makes the call. The synchronous implementation has `async` in its signatures and never waits;
/// should it do so, there is no answer.
fn call(
    wasi: &mut WasiCtx,
    memory: &mut [u8],
    function: Function,
    args: &[u64],
) -> Option<Result<i32, String>> {
    let memory = &mut GuestMemory::Unshared(memory);
    let i = |place: usize| args.get(place).copied().unwrap_or(0) as u32 as i32;
    let l = |place: usize| args.get(place).copied().unwrap_or(0).cast_signed();
    macro_rules! ask {
        ($name:ident $($arg:expr),*) => {
            ready(preview1::$name(wasi, memory $(, $arg)*)).map(|result| match result {
                Ok(errno) => Ok(errno),
                Err(error) => Err(format!("{error:#}")),
            })
        };
    }
    match function {
        Function::ArgsGet => ask!(args_get i(0), i(1)),
        Function::ArgsSizesGet => ask!(args_sizes_get i(0), i(1)),
        Function::EnvironGet => ask!(environ_get i(0), i(1)),
        Function::EnvironSizesGet => ask!(environ_sizes_get i(0), i(1)),
        Function::ClockResGet => ask!(clock_res_get i(0), i(1)),
        Function::ClockTimeGet => ask!(clock_time_get i(0), l(1), i(2)),
        Function::FdAdvise => ask!(fd_advise i(0), l(1), l(2), i(3)),
        Function::FdAllocate => ask!(fd_allocate i(0), l(1), l(2)),
        Function::FdClose => ask!(fd_close i(0)),
        Function::FdDatasync => ask!(fd_datasync i(0)),
        Function::FdFdstatGet => ask!(fd_fdstat_get i(0), i(1)),
        Function::FdFdstatSetFlags => ask!(fd_fdstat_set_flags i(0), i(1)),
        Function::FdFdstatSetRights => ask!(fd_fdstat_set_rights i(0), l(1), l(2)),
        Function::FdFilestatGet => ask!(fd_filestat_get i(0), i(1)),
        Function::FdFilestatSetSize => ask!(fd_filestat_set_size i(0), l(1)),
        Function::FdFilestatSetTimes => ask!(fd_filestat_set_times i(0), l(1), l(2), i(3)),
        Function::FdPread => ask!(fd_pread i(0), i(1), i(2), l(3), i(4)),
        Function::FdPrestatGet => ask!(fd_prestat_get i(0), i(1)),
        Function::FdPrestatDirName => ask!(fd_prestat_dir_name i(0), i(1), i(2)),
        Function::FdPwrite => ask!(fd_pwrite i(0), i(1), i(2), l(3), i(4)),
        Function::FdRead => ask!(fd_read i(0), i(1), i(2), i(3)),
        Function::FdReaddir => ask!(fd_readdir i(0), i(1), i(2), l(3), i(4)),
        Function::FdRenumber => ask!(fd_renumber i(0), i(1)),
        Function::FdSeek => ask!(fd_seek i(0), l(1), i(2), i(3)),
        Function::FdSync => ask!(fd_sync i(0)),
        Function::FdTell => ask!(fd_tell i(0), i(1)),
        Function::FdWrite => ask!(fd_write i(0), i(1), i(2), i(3)),
        Function::PathCreateDirectory => ask!(path_create_directory i(0), i(1), i(2)),
        Function::PathFilestatGet => ask!(path_filestat_get i(0), i(1), i(2), i(3), i(4)),
        Function::PathFilestatSetTimes => {
            ask!(path_filestat_set_times i(0), i(1), i(2), i(3), l(4), l(5), i(6))
        }
        Function::PathLink => ask!(path_link i(0), i(1), i(2), i(3), i(4), i(5), i(6)),
        Function::PathOpen => {
            ask!(path_open i(0), i(1), i(2), i(3), i(4), l(5), l(6), i(7), i(8))
        }
        Function::PathReadlink => ask!(path_readlink i(0), i(1), i(2), i(3), i(4), i(5)),
        Function::PathRemoveDirectory => ask!(path_remove_directory i(0), i(1), i(2)),
        Function::PathRename => ask!(path_rename i(0), i(1), i(2), i(3), i(4), i(5)),
        Function::PathSymlink => ask!(path_symlink i(0), i(1), i(2), i(3), i(4)),
        Function::PathUnlinkFile => ask!(path_unlink_file i(0), i(1), i(2)),
        Function::PollOneoff => ask!(poll_oneoff i(0), i(1), i(2), i(3)),
        Function::ProcRaise => ask!(proc_raise i(0)),
        Function::SchedYield => ask!(sched_yield),
        Function::RandomGet => ask!(random_get i(0), i(1)),
        Function::SockAccept => ask!(sock_accept i(0), i(1), i(2)),
        Function::SockRecv => ask!(sock_recv i(0), i(1), i(2), i(3), i(4), i(5)),
        Function::SockSend => ask!(sock_send i(0), i(1), i(2), i(3), i(4)),
        Function::SockShutdown => ask!(sock_shutdown i(0), i(1)),
        Function::ProcExit | Function::HaarLog => None,
    }
}
