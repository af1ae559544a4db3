//! The state of one run, and the one door into it.

use crate::abi::Errno;
use crate::call::{Call, Stop};
use crate::clock::Clock;
use crate::descriptors::Descriptors;
use crate::environment::{Environment, EnvironmentFault, Limits, Strings};
use crate::function::Function;
use crate::memory::GuestMemory;
use crate::random::Random;
use crate::tree::{Content, ROOT, Tree};

/// How a host function ends the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The guest asked for it.
    #[error("the guest exited with code {0}")]
    Exit(u32),
    /// The call could not be paid for. It had no effect.
    #[error("the fuel did not cover a host call")]
    OutOfFuel,
    /// The guest named memory it does not have, wrote more output than it may, or raised a signal.
    #[error("a host call faulted")]
    Fault,
    /// The host lacks memory that the guest may have. It says nothing about the guest: whoever
    /// runs it abstains.
    #[error("the host has too little memory for a host call")]
    HostMemory,
}

/// What is left when the run is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Standard output. It counts only if the run returned or exited.
    pub stdout: Vec<u8>,
    /// Standard error and `haar.log`, in order of arrival, for the author's eyes only.
    pub log: Vec<u8>,
    /// The chained hash of every call. Two honest runs of one job have the same.
    pub transcript: [u8; 32],
    /// The code of `proc_exit`, if the guest called it.
    pub exit: Option<u32>,
}

/// The world of one guest during one run. A clone goes on by itself from the same moment.
#[derive(Clone, Debug)]
pub struct Wasi {
    pub(crate) limits: Limits,
    pub(crate) args: Strings,
    pub(crate) env: Strings,
    pub(crate) stdin: Content,
    pub(crate) stdin_offset: u64,
    pub(crate) stdout: Vec<u8>,
    pub(crate) log: Vec<u8>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) descriptors: Descriptors,
    pub(crate) tree: Tree,
    transcript: [u8; 32],
    ended: Option<Ended>,
}

impl Wasi {
    /// Takes a job's environment, or says what is wrong with it.
    pub fn new(environment: Environment) -> Result<Self, EnvironmentFault> {
        let (args, env) = environment.strings()?;
        let limits = environment.limits;
        let bytes = environment.stdin.len() as u64;
        if limits.input_bytes_max < bytes {
            return Err(EnvironmentFault::Input {
                bytes,
                max: limits.input_bytes_max,
            });
        }

        let mut tree = Tree::new(environment.files, limits.tree_bytes_max)?;
        tree.retain(ROOT);
        Ok(Self {
            limits,
            args,
            env,
            stdin: Content::Input(environment.stdin),
            stdin_offset: 0,
            stdout: Vec::new(),
            log: Vec::new(),
            clock: Clock::new(environment.time_ns),
            random: Random::new(&environment.seed),
            descriptors: Descriptors::new(ROOT),
            tree,
            transcript: [0; 32],
            ended: None,
        })
    }

    /// Makes one call. `args` are the imported function's arguments, an `i32` in the low half.
    ///
    /// Once a call has ended the run, every further one gives the same end.
    pub fn call(
        &mut self,
        function: Function,
        args: &[u64],
        memory: &mut impl GuestMemory,
        fuel: &mut i64,
    ) -> Result<Errno, Ended> {
        if let Some(ended) = self.ended {
            return Err(ended);
        }

        let outcome = match Call::new(&self.transcript, function, args, memory, fuel) {
            Some(call) => self.run(function, call),
            None => Err(Ended::Fault),
        };
        if let Err(ended) = outcome {
            self.ended = Some(ended);
        }
        outcome
    }

    /// The transcript so far.
    pub fn transcript(&self) -> [u8; 32] {
        self.transcript
    }

    /// The hash of the files that are left: equal trees have the same, whatever led to them.
    ///
    /// It reads every byte of them, so it is made for those who ask and not for every run.
    pub fn tree_hash(&self) -> [u8; 32] {
        self.tree.hash()
    }

    /// Ends the run and hands over what it left.
    pub fn finish(self) -> Finished {
        let exit = match self.ended {
            Some(Ended::Exit(code)) => Some(code),
            Some(Ended::OutOfFuel | Ended::Fault | Ended::HostMemory) | None => None,
        };
        Finished {
            stdout: self.stdout,
            log: self.log,
            transcript: self.transcript,
            exit,
        }
    }

    fn run<M: GuestMemory>(
        &mut self,
        function: Function,
        mut call: Call<'_, M>,
    ) -> Result<Errno, Ended> {
        let mut stop = self.dispatch(function, &mut call);
        // A call that was refused before it named its price costs what every call costs.
        if let Err(Stop::Errno(_)) = stop
            && let Err(unpaid) = call.pay_at_least_once()
        {
            stop = Err(unpaid);
        }

        let outcome = match stop {
            Ok(()) => Ok(Errno::Success),
            Err(Stop::Errno(errno)) => Ok(errno),
            Err(Stop::Ended(ended)) => Err(ended),
        };
        match outcome {
            Ok(errno) => self.transcript = call.close(errno),
            Err(Ended::Exit(_)) => self.transcript = call.close(Errno::Success),
            // Nothing happened, or nothing that anybody will see.
            Err(Ended::OutOfFuel | Ended::Fault | Ended::HostMemory) => {}
        }
        outcome
    }

    fn dispatch<M: GuestMemory>(
        &mut self,
        function: Function,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        match function {
            Function::ArgsGet => self.args_get(call),
            Function::ArgsSizesGet => self.args_sizes_get(call),
            Function::EnvironGet => self.environ_get(call),
            Function::EnvironSizesGet => self.environ_sizes_get(call),
            Function::ClockResGet => self.clock_res_get(call),
            Function::ClockTimeGet => self.clock_time_get(call),
            Function::FdAdvise => self.fd_advise(call),
            Function::FdAllocate => self.fd_allocate(call),
            Function::FdClose => self.fd_close(call),
            Function::FdDatasync | Function::FdSync => self.fd_sync(call),
            Function::FdFdstatGet => self.fd_fdstat_get(call),
            Function::FdFdstatSetFlags => self.fd_fdstat_set_flags(call),
            Function::FdFdstatSetRights => self.fd_fdstat_set_rights(call),
            Function::FdFilestatGet => self.fd_filestat_get(call),
            Function::FdFilestatSetSize => self.fd_filestat_set_size(call),
            Function::FdFilestatSetTimes => self.fd_filestat_set_times(call),
            Function::FdPread => self.fd_pread(call),
            Function::FdPrestatGet => self.fd_prestat_get(call),
            Function::FdPrestatDirName => self.fd_prestat_dir_name(call),
            Function::FdPwrite => self.fd_pwrite(call),
            Function::FdRead => self.fd_read(call),
            Function::FdReaddir => self.fd_readdir(call),
            Function::FdRenumber => self.fd_renumber(call),
            Function::FdSeek => self.fd_seek(call),
            Function::FdTell => self.fd_tell(call),
            Function::FdWrite => self.fd_write(call),
            Function::PathCreateDirectory => self.path_create_directory(call),
            Function::PathFilestatGet => self.path_filestat_get(call),
            Function::PathFilestatSetTimes => self.path_filestat_set_times(call),
            Function::PathLink => self.path_link(call),
            Function::PathOpen => self.path_open(call),
            Function::PathReadlink => self.path_readlink(call),
            Function::PathRemoveDirectory => self.path_remove_directory(call),
            Function::PathRename => self.path_rename(call),
            Function::PathSymlink => self.path_symlink(call),
            Function::PathUnlinkFile => self.path_unlink_file(call),
            Function::PollOneoff => self.poll_oneoff(call),
            Function::ProcExit => self.proc_exit(call),
            Function::ProcRaise => self.proc_raise(call),
            Function::SchedYield => self.sched_yield(call),
            Function::RandomGet => self.random_get(call),
            Function::SockAccept => self.sock_accept(call),
            Function::SockRecv => self.sock_recv(call),
            Function::SockSend => self.sock_send(call),
            Function::SockShutdown => self.sock_shutdown(call),
            Function::HaarLog => self.haar_log(call),
        }
    }
}
