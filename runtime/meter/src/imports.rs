//! The functions that a guest may import, with the only types they may have.
//!
//! A name that is not here cannot be linked later: what a module can reach is known before it runs.

use wasmparser::{FuncType, ValType};

const I: ValType = ValType::I32;
const L: ValType = ValType::I64;

/// A function's name, parameters and results.
type Signature = (&'static str, &'static [ValType], &'static [ValType]);

/// The module name of WASI preview 1.
const WASI: &str = "wasi_snapshot_preview1";
/// The module name of our own host functions.
const HAAR: &str = "haar";

/// All of preview 1, sorted by name.
#[rustfmt::skip]
const WASI_FUNCTIONS: [Signature; 46] = [
    ("args_get", &[I, I], &[I]),
    ("args_sizes_get", &[I, I], &[I]),
    ("clock_res_get", &[I, I], &[I]),
    ("clock_time_get", &[I, L, I], &[I]),
    ("environ_get", &[I, I], &[I]),
    ("environ_sizes_get", &[I, I], &[I]),
    ("fd_advise", &[I, L, L, I], &[I]),
    ("fd_allocate", &[I, L, L], &[I]),
    ("fd_close", &[I], &[I]),
    ("fd_datasync", &[I], &[I]),
    ("fd_fdstat_get", &[I, I], &[I]),
    ("fd_fdstat_set_flags", &[I, I], &[I]),
    ("fd_fdstat_set_rights", &[I, L, L], &[I]),
    ("fd_filestat_get", &[I, I], &[I]),
    ("fd_filestat_set_size", &[I, L], &[I]),
    ("fd_filestat_set_times", &[I, L, L, I], &[I]),
    ("fd_pread", &[I, I, I, L, I], &[I]),
    ("fd_prestat_dir_name", &[I, I, I], &[I]),
    ("fd_prestat_get", &[I, I], &[I]),
    ("fd_pwrite", &[I, I, I, L, I], &[I]),
    ("fd_read", &[I, I, I, I], &[I]),
    ("fd_readdir", &[I, I, I, L, I], &[I]),
    ("fd_renumber", &[I, I], &[I]),
    ("fd_seek", &[I, L, I, I], &[I]),
    ("fd_sync", &[I], &[I]),
    ("fd_tell", &[I, I], &[I]),
    ("fd_write", &[I, I, I, I], &[I]),
    ("path_create_directory", &[I, I, I], &[I]),
    ("path_filestat_get", &[I, I, I, I, I], &[I]),
    ("path_filestat_set_times", &[I, I, I, I, L, L, I], &[I]),
    ("path_link", &[I, I, I, I, I, I, I], &[I]),
    ("path_open", &[I, I, I, I, I, L, L, I, I], &[I]),
    ("path_readlink", &[I, I, I, I, I, I], &[I]),
    ("path_remove_directory", &[I, I, I], &[I]),
    ("path_rename", &[I, I, I, I, I, I], &[I]),
    ("path_symlink", &[I, I, I, I, I], &[I]),
    ("path_unlink_file", &[I, I, I], &[I]),
    ("poll_oneoff", &[I, I, I, I], &[I]),
    ("proc_exit", &[I], &[]),
    ("proc_raise", &[I], &[I]),
    ("random_get", &[I, I], &[I]),
    ("sched_yield", &[], &[I]),
    ("sock_accept", &[I, I, I], &[I]),
    ("sock_recv", &[I, I, I, I, I, I], &[I]),
    ("sock_send", &[I, I, I, I, I], &[I]),
    ("sock_shutdown", &[I, I], &[I]),
];

/// Our own functions, sorted by name.
const HAAR_FUNCTIONS: [Signature; 1] = [("log", &[I, I], &[])];

/// What the allow-list says about an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    Admitted,
    UnknownName,
    WrongType,
}

/// Looks an import up in the allow-list.
pub(crate) fn look_up(module: &str, name: &str, ty: &FuncType) -> Lookup {
    let functions: &[Signature] = match module {
        WASI => &WASI_FUNCTIONS,
        HAAR => &HAAR_FUNCTIONS,
        _ => return Lookup::UnknownName,
    };
    let Ok(found) = functions.binary_search_by_key(&name, |(name, ..)| *name) else {
        return Lookup::UnknownName;
    };
    let (_, params, results) = functions[found];
    if ty.params() == params && ty.results() == results {
        Lookup::Admitted
    } else {
        Lookup::WrongType
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_so_that_every_name_is_found() {
        for (module, functions) in [(WASI, &WASI_FUNCTIONS[..]), (HAAR, &HAAR_FUNCTIONS[..])] {
            for (name, params, results) in functions {
                let ty = FuncType::new(params.iter().copied(), results.iter().copied());
                assert_eq!(look_up(module, name, &ty), Lookup::Admitted, "{name}");
            }
        }
    }

    #[test]
    fn a_wrong_type_and_an_unknown_name_differ() {
        let ty = FuncType::new([L], [I]);
        assert_eq!(look_up(WASI, "fd_close", &ty), Lookup::WrongType);
        assert_eq!(look_up(WASI, "fd_open", &ty), Lookup::UnknownName);
        assert_eq!(look_up("env", "fd_close", &ty), Lookup::UnknownName);
    }
}
