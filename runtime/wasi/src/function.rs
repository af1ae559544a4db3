//! The functions a guest may import: preview 1 whole, and `haar.log`.
//!
//! The order of this list gives each function its number in the transcript, so it never changes
//! within a version.

use crate::abi::Parameter;
use crate::abi::Parameter::{I32, I64};

/// The module name under which guests import preview 1.
pub const MODULE_PREVIEW1: &str = "wasi_snapshot_preview1";
/// The module name of the functions that are ours.
pub const MODULE_HAAR: &str = "haar";

macro_rules! functions {
    ($($variant:ident $module:ident $name:literal ($($parameter:ident)*)),* $(,)?) => {
        /// A host function that a guest may import.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Function {
            $(#[doc = concat!("`", $name, "`")] $variant),*
        }

        impl Function {
            /// Every function of this version, in the order of their numbers.
            pub const ALL: &'static [Function] = &[$(Function::$variant),*];

            /// The module a guest imports it from.
            pub const fn module(self) -> &'static str {
                match self { $(Function::$variant => $module),* }
            }

            /// The name a guest imports it by.
            pub const fn name(self) -> &'static str {
                match self { $(Function::$variant => $name),* }
            }

            /// The parameters of the imported signature.
            pub const fn params(self) -> &'static [Parameter] {
                match self { $(Function::$variant => &[$($parameter),*]),* }
            }
        }
    };
}

functions! {
    ArgsGet MODULE_PREVIEW1 "args_get" (I32 I32),
    ArgsSizesGet MODULE_PREVIEW1 "args_sizes_get" (I32 I32),
    EnvironGet MODULE_PREVIEW1 "environ_get" (I32 I32),
    EnvironSizesGet MODULE_PREVIEW1 "environ_sizes_get" (I32 I32),
    ClockResGet MODULE_PREVIEW1 "clock_res_get" (I32 I32),
    ClockTimeGet MODULE_PREVIEW1 "clock_time_get" (I32 I64 I32),
    FdAdvise MODULE_PREVIEW1 "fd_advise" (I32 I64 I64 I32),
    FdAllocate MODULE_PREVIEW1 "fd_allocate" (I32 I64 I64),
    FdClose MODULE_PREVIEW1 "fd_close" (I32),
    FdDatasync MODULE_PREVIEW1 "fd_datasync" (I32),
    FdFdstatGet MODULE_PREVIEW1 "fd_fdstat_get" (I32 I32),
    FdFdstatSetFlags MODULE_PREVIEW1 "fd_fdstat_set_flags" (I32 I32),
    FdFdstatSetRights MODULE_PREVIEW1 "fd_fdstat_set_rights" (I32 I64 I64),
    FdFilestatGet MODULE_PREVIEW1 "fd_filestat_get" (I32 I32),
    FdFilestatSetSize MODULE_PREVIEW1 "fd_filestat_set_size" (I32 I64),
    FdFilestatSetTimes MODULE_PREVIEW1 "fd_filestat_set_times" (I32 I64 I64 I32),
    FdPread MODULE_PREVIEW1 "fd_pread" (I32 I32 I32 I64 I32),
    FdPrestatGet MODULE_PREVIEW1 "fd_prestat_get" (I32 I32),
    FdPrestatDirName MODULE_PREVIEW1 "fd_prestat_dir_name" (I32 I32 I32),
    FdPwrite MODULE_PREVIEW1 "fd_pwrite" (I32 I32 I32 I64 I32),
    FdRead MODULE_PREVIEW1 "fd_read" (I32 I32 I32 I32),
    FdReaddir MODULE_PREVIEW1 "fd_readdir" (I32 I32 I32 I64 I32),
    FdRenumber MODULE_PREVIEW1 "fd_renumber" (I32 I32),
    FdSeek MODULE_PREVIEW1 "fd_seek" (I32 I64 I32 I32),
    FdSync MODULE_PREVIEW1 "fd_sync" (I32),
    FdTell MODULE_PREVIEW1 "fd_tell" (I32 I32),
    FdWrite MODULE_PREVIEW1 "fd_write" (I32 I32 I32 I32),
    PathCreateDirectory MODULE_PREVIEW1 "path_create_directory" (I32 I32 I32),
    PathFilestatGet MODULE_PREVIEW1 "path_filestat_get" (I32 I32 I32 I32 I32),
    PathFilestatSetTimes MODULE_PREVIEW1 "path_filestat_set_times" (I32 I32 I32 I32 I64 I64 I32),
    PathLink MODULE_PREVIEW1 "path_link" (I32 I32 I32 I32 I32 I32 I32),
    PathOpen MODULE_PREVIEW1 "path_open" (I32 I32 I32 I32 I32 I64 I64 I32 I32),
    PathReadlink MODULE_PREVIEW1 "path_readlink" (I32 I32 I32 I32 I32 I32),
    PathRemoveDirectory MODULE_PREVIEW1 "path_remove_directory" (I32 I32 I32),
    PathRename MODULE_PREVIEW1 "path_rename" (I32 I32 I32 I32 I32 I32),
    PathSymlink MODULE_PREVIEW1 "path_symlink" (I32 I32 I32 I32 I32),
    PathUnlinkFile MODULE_PREVIEW1 "path_unlink_file" (I32 I32 I32),
    PollOneoff MODULE_PREVIEW1 "poll_oneoff" (I32 I32 I32 I32),
    ProcExit MODULE_PREVIEW1 "proc_exit" (I32),
    ProcRaise MODULE_PREVIEW1 "proc_raise" (I32),
    SchedYield MODULE_PREVIEW1 "sched_yield" (),
    RandomGet MODULE_PREVIEW1 "random_get" (I32 I32),
    SockAccept MODULE_PREVIEW1 "sock_accept" (I32 I32 I32),
    SockRecv MODULE_PREVIEW1 "sock_recv" (I32 I32 I32 I32 I32 I32),
    SockSend MODULE_PREVIEW1 "sock_send" (I32 I32 I32 I32 I32),
    SockShutdown MODULE_PREVIEW1 "sock_shutdown" (I32 I32),
    HaarLog MODULE_HAAR "log" (I32 I32),
}

/// `path_open` has the most.
pub(crate) const PARAMETERS_MAX: usize = 9;

impl Function {
    /// The function that an import names, or none: then the module is refused.
    pub fn from_import(module: &str, name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|function| function.module() == module && function.name() == name)
    }

    /// Whether the imported signature has one `i32` result. The two others have none.
    pub const fn returns_errno(self) -> bool {
        !matches!(self, Function::ProcExit | Function::HaarLog)
    }
}
