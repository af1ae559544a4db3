//! Drives the hub's state machine: journal first, then handle, then act.
//!
//! One thread owns the machine's clock. It takes whatever has arrived, makes it durable with one
//! fsync, feeds it to the machine, and only then lets anybody see what follows. It decides nothing.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use haar_protocol::hub::Hub as Machine;
use haar_protocol::{Entry, HubConfig, Input, Output, Time};
use tokio::sync::{mpsc, oneshot};

use crate::journal::{Journal, JournalError, Row};
use crate::limits::{GROUP_MAX, INPUTS_WAITING_MAX};

/// Something to make durable and to act on.
#[derive(Debug)]
struct Command {
    input: Option<Input>,
    rows: Vec<Row>,
    done: Option<oneshot::Sender<()>>,
}

/// The hub is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hub is stopping")]
pub struct Stopping;

/// The hub's machine and its journal.
#[derive(Debug, Clone)]
pub struct Core {
    commands: mpsc::Sender<Command>,
    machine: Arc<Mutex<Machine>>,
}

impl Core {
    /// Replays the journal and starts the thread. Outputs come out of the returned channel.
    pub fn start(
        path: &Path,
        config: HubConfig,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Output>), JournalError> {
        let journal = Journal::open(path)?;
        let mut machine = Machine::new(config);
        let mut last = Time(0);
        let mut dropped = Vec::new();
        let replayed = journal.replay(|entry| {
            last = last.max(entry.at);
            machine.handle(entry.at, entry.input, &mut dropped);
            // The machine asks again on `Started` for all that is still open.
            dropped.clear();
        })?;
        tracing::info!(target: "haar::hub::replayed", inputs = replayed);

        let machine = Arc::new(Mutex::new(machine));
        let (commands, waiting) = mpsc::channel(INPUTS_WAITING_MAX);
        let (outputs, outbox) = mpsc::unbounded_channel();
        let thread = Thread {
            journal,
            machine: machine.clone(),
            outputs,
            last,
        };
        std::thread::Builder::new()
            .name("haar-core".to_owned())
            .spawn(move || thread.run(waiting))
            .map_err(|error| JournalError::Damaged(error.to_string()))?;
        Ok((Self { commands, machine }, outbox))
    }

    /// Hands an input over; returns when it is durable and handled.
    pub async fn input(&self, input: Input, rows: Vec<Row>) -> Result<(), Stopping> {
        self.send(Some(input), rows).await
    }

    /// Makes rows durable that belong to no input.
    pub async fn store(&self, rows: Vec<Row>) -> Result<(), Stopping> {
        self.send(None, rows).await
    }

    /// Looks at the machine. Keep it short: nothing is handled meanwhile.
    pub fn look<T>(&self, read: impl FnOnce(&Machine) -> T) -> T {
        read(&lock(&self.machine))
    }

    async fn send(&self, input: Option<Input>, rows: Vec<Row>) -> Result<(), Stopping> {
        let (done, is_done) = oneshot::channel();
        let command = Command {
            input,
            rows,
            done: Some(done),
        };
        self.commands.send(command).await.map_err(|_| Stopping)?;
        is_done.await.map_err(|_| Stopping)
    }
}

/// Now, in milliseconds since 1970.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

struct Thread {
    journal: Journal,
    machine: Arc<Mutex<Machine>>,
    outputs: mpsc::UnboundedSender<Output>,
    /// Invariant: never runs backwards, whatever the wall clock does.
    last: Time,
}

impl Thread {
    fn run(mut self, mut waiting: mpsc::Receiver<Command>) {
        let mut group = Vec::new();
        while waiting.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
            self.last = self.last.max(now());
            let entries: Vec<Entry> = group
                .iter_mut()
                .filter_map(|command| command.input.take())
                .map(|input| Entry {
                    at: self.last,
                    input,
                })
                .collect();
            let rows = group.iter().flat_map(|command| &command.rows);
            if let Err(error) = self.journal.append(&entries, rows) {
                // What cannot be made durable must not be acknowledged, and after a failed fsync
                // nobody knows what the disk holds: end here, a restart reads what is true.
                tracing::error!(target: "haar::hub::journal_failed", %error);
                std::process::exit(70);
            }

            let mut outbox = Vec::new();
            {
                let mut machine = lock(&self.machine);
                for entry in entries {
                    machine.handle(entry.at, entry.input, &mut outbox);
                }
            }
            for done in group.drain(..).filter_map(|command| command.done) {
                // Whoever asked may be gone; the input counts all the same.
                let _ = done.send(());
            }
            for output in outbox {
                if self.outputs.send(output).is_err() {
                    return;
                }
            }
        }
    }
}

fn lock(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}
