//! One process of the product: started, listened to, killed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What only a broken product takes.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(20);

/// A process with what it has said so far.
pub struct Process {
    name: String,
    child: Mutex<Child>,
    said: Arc<Mutex<Vec<String>>>,
    complained: Arc<Mutex<String>>,
}

/// The binary under test.
pub fn haar() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haar"));
    command
        .env_remove("HAAR_HUB")
        .env("HAAR_LOG", "error,haar=info");
    command
}

impl Process {
    /// Starts a process and reads along, so that it never waits for us.
    pub fn start(name: impl Into<String>, mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary under test starts");
        let said = Arc::new(Mutex::new(Vec::new()));
        let complained = Arc::new(Mutex::new(String::new()));
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let lines = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let text = complained.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                text.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self {
            name: name.into(),
            child: Mutex::new(child),
            said,
            complained,
        }
    }

    /// The number by which the system knows it.
    pub fn id(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Waits for a record of this event, as `--json` prints it.
    pub async fn event(&mut self, event: &str) -> Value {
        let started = Instant::now();
        loop {
            if let Some(record) = self.events(event).pop() {
                return record;
            }
            self.check_alive(event, started);
            pause().await;
        }
    }

    /// Waits until the log on stderr has this event.
    pub async fn logged(&mut self, event: &str) {
        let started = Instant::now();
        while !self.complaints().contains(event) {
            self.check_alive(event, started);
            // Closer than other waits: whoever waits for a line of the log wants to strike then.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn check_alive(&mut self, event: &str, started: Instant) {
        if let Some(status) = self.child.lock().unwrap().try_wait().unwrap() {
            panic!(
                "{} ended with {status} before '{event}':\n{}",
                self.name,
                self.complaints()
            );
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{} did not say '{event}':\n{}",
            self.name,
            self.complaints()
        );
    }

    /// All records of this event so far.
    pub fn events(&self, event: &str) -> Vec<Value> {
        let said = self.said.lock().unwrap();
        let records = said
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        records.filter(|record| record["event"] == event).collect()
    }

    /// What the process wrote to stderr so far.
    pub fn complaints(&self) -> String {
        self.complained.lock().unwrap().clone()
    }

    /// SIGKILL: the process gets no chance to put anything in order.
    pub fn kill(&mut self) {
        // One that has ended already is as dead as one can be.
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Shows what the process said, for whoever has to find out why a test failed.
    pub fn show(&self) {
        let status = match self.child.lock().unwrap().try_wait() {
            Ok(Some(status)) => format!("ended with {status}"),
            _ => "runs".to_owned(),
        };
        let said = self.said.lock().unwrap();
        let last = said.len().saturating_sub(20);
        eprintln!("--- {} {status}; stdout", self.name);
        eprintln!("{}", said[last..].join("\n"));
        eprintln!("--- stderr\n{}", self.complaints());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a command that ends by itself said.
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// Its output.
    pub stdout: Vec<u8>,
    /// Its complaints.
    pub stderr: String,
}

/// Runs a command to its end without holding up anything else.
pub async fn run(mut command: Command) -> Ended {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let ending = tokio::task::spawn_blocking(move || command.output());
    let output = ending.await.unwrap().expect("the binary under test starts");
    Ended {
        code: output.status.code().expect("it ended by itself"),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Waits a moment before something is looked at again.
pub async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

/// Asks until there is an answer; `what` says what never came.
#[track_caller]
pub fn until<T, F>(what: &str, ask: impl FnMut() -> F) -> impl Future<Output = T>
where
    F: Future<Output = Option<T>>,
{
    until_at(std::panic::Location::caller(), what.to_owned(), ask)
}

async fn until_at<T, F>(
    at: &'static std::panic::Location<'static>,
    what: String,
    mut ask: impl FnMut() -> F,
) -> T
where
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what} did not happen ({at})");
        pause().await;
    }
}

/// Reads a stream to its end, whatever comes.
pub fn drain(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset after the answer is an end as well.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}
