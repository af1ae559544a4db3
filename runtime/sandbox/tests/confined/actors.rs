//! The parts that this program plays when it is started as a child: the real runner and compiler,
//! and impostors that do whatever a runner must not do.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use haar_sandbox::process::{compiler_main, runner_main};

use crate::attacks;
use crate::stage::{Stage, command};

pub const RUNNER: &str = "act-runner";
pub const COMPILER: &str = "act-compiler";

/// A frame that says: ready, with everything shut.
const READY: &[u8] = &[
    1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
    0x82, 0, 0x81, 0x82, 2, 0xf5,
];

/// Impostors, by name.
pub const SILENT: &str = "act-silent";
pub const MUTE: &str = "act-mute";
pub const LEAVER: &str = "act-leaver";
pub const BABBLER: &str = "act-babbler";
pub const HALF: &str = "act-half";
pub const HUGE: &str = "act-huge";
pub const EAGER: &str = "act-eager";
pub const CRASHER: &str = "act-crasher";
pub const DEAD: &str = "act-dead";
/// A supervisor, to be killed.
pub const SUPERVISOR: &str = "act-supervisor";

/// Plays a part, if this process was started for one.
pub fn act() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    let part = arguments.get(1)?;
    let mut socket = Socket;
    match part.as_str() {
        RUNNER => return Some(runner_main()),
        COMPILER => return Some(compiler_main()),
        attacks::ATTACK => attacks::attack(arguments.get(2)?),
        // Never says that it is ready.
        MUTE => sleep(),
        // Is ready, and answers nothing.
        SILENT => {
            socket.write_all(READY).ok()?;
            sleep();
        }
        // Is ready, and leaves when it is asked for anything.
        LEAVER => {
            socket.answer(&[]);
            return Some(ExitCode::from(7));
        }
        BABBLER => socket.answer(&[0x5a; 64 << 10]),
        // The beginning of a frame, and then nothing.
        HALF => socket.answer(&READY[..9]),
        // A frame that claims more bytes than there are atoms.
        HUGE => {
            let mut frame = READY.to_vec();
            frame[8..16].fill(0xff);
            socket.answer(&frame);
        }
        // Says more than it was asked for.
        EAGER => {
            socket.write_all(&[READY, READY].concat()).ok()?;
            sleep();
        }
        CRASHER => {
            socket.write_all(READY).ok()?;
            socket.read_exact(&mut [0; 1]).ok()?;
            std::process::abort();
        }
        SUPERVISOR => supervise(),
        DEAD => return Some(ExitCode::from(9)),
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

/// Has a runner at work and others at rest, says which, and waits for its end.
fn supervise() {
    let stage = Stage::new();
    stage.assert_well();
    std::thread::scope(|scope| {
        let stage = &stage;
        scope.spawn(move || {
            let endless = command("(loop $l (br $l))");
            loop {
                let deadline = std::time::Instant::now() + Duration::from_secs(60);
                let _ = stage.run_as(2, &endless, b"", deadline);
            }
        });
        while stage.confined.children().compiled < 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(100));
        let mut runners = String::new();
        for task in std::fs::read_dir("/proc/self/task").unwrap() {
            let path = task.unwrap().path().join("children");
            runners += &std::fs::read_to_string(path).unwrap_or_default();
        }
        println!("{runners}");
        sleep();
    });
}

fn sleep() {
    std::thread::sleep(Duration::from_secs(3_600));
}

/// Standard input, which is a socket.
struct Socket;

impl Socket {
    /// Becomes ready, waits for a request, answers this, and keeps silent.
    fn answer(&mut self, bytes: &[u8]) {
        self.write_all(READY).unwrap();
        let _ = self.read(&mut [0; 1]);
        if bytes.is_empty() {
            return;
        }
        let _ = self.write_all(bytes);
        sleep();
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        Ok(rustix::io::read(std::io::stdin(), into)?)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(rustix::io::write(std::io::stdin(), bytes)?)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
