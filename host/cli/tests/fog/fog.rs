//! A hub and its miners, each a process of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Weak};

use haar_records::{BlobHash, Keypair, MinerId};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::buyer::Buyer;
use crate::guests;
use crate::process::{Process, haar, until};

/// How a miner behaves: `None` is honestly, else the word for `--misbehave`.
pub type Conduct = Option<&'static str>;

/// A miner without a fault.
pub const HONEST: Conduct = None;

/// A hub that runs, or did.
pub struct Hub {
    /// Its folder.
    pub dir: PathBuf,
    /// Where it answers buyers. It stays the same when the hub is started again.
    pub url: String,
    process: Process,
    extra: Vec<String>,
}

impl Hub {
    /// Starts a hub in this folder at any free port, with further arguments.
    pub async fn start(dir: PathBuf, extra: &[String]) -> Self {
        let mut process = Process::start("hub", command(&dir, "127.0.0.1:0", extra));
        let ready = process.event("ready").await;
        let url = ready["http"].as_str().unwrap().to_owned();
        Self {
            dir,
            url,
            process,
            extra: extra.to_vec(),
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the hub in the same folder at the same port, without waiting until it is ready.
    pub fn start_again(&mut self) {
        let http = self.url.strip_prefix("http://").unwrap().to_owned();
        self.process = Process::start("hub, again", command(&self.dir, &http, &self.extra));
    }

    /// Kills the hub, starts it again and waits until it is ready.
    pub async fn restart(&mut self) {
        self.kill();
        self.start_again();
        self.process.event("ready").await;
    }

    /// Waits until the hub logs this event.
    pub async fn logged(&mut self, event: &str) {
        self.process.logged(event).await;
    }

    /// What the operator's requests have to carry.
    pub fn token(&self) -> String {
        std::fs::read_to_string(self.dir.join("operator.token"))
            .unwrap()
            .trim()
            .to_owned()
    }
}

fn command(dir: &Path, http: &str, extra: &[String]) -> Command {
    let mut command = haar();
    command.args([
        "--json",
        "hub",
        "--http",
        http,
        "--swarm",
        "127.0.0.1:0",
        "--dir",
    ]);
    command.arg(dir).args(extra);
    command
}

/// A miner that runs.
pub struct Miner {
    /// Its key, which is paid as well.
    pub key: Keypair,
    /// Its name at the hub.
    pub id: String,
    process: Process,
}

impl Miner {
    fn start(dir: PathBuf, hub: &str, key: Keypair, conduct: Conduct) -> Self {
        let path = write_key(&dir, &key);
        let mut command = haar();
        command.args([
            "--json",
            "miner",
            "--capacity",
            "2",
            "--swarm",
            "127.0.0.1:0",
        ]);
        command
            .arg("--hub")
            .arg(hub)
            .arg("--dir")
            .arg(&dir)
            .arg("--key")
            .arg(path);
        if let Some(conduct) = conduct {
            command.arg("--misbehave").arg(conduct);
        }
        let id = MinerId(key.address()).to_string();
        let name = format!("miner {id} ({})", conduct.unwrap_or("honest"));
        Self {
            process: Process::start(name, command),
            key,
            id,
        }
    }
}

impl Miner {
    /// The number of its process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// The last record of this event.
    pub fn said(&self, event: &str) -> Value {
        self.process.events(event).pop().unwrap()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

/// A key in a file that only its owner can read.
pub fn write_key(dir: &Path, key: &Keypair) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;

    std::fs::create_dir_all(dir).unwrap();
    let path = dir.join("party.key");
    std::fs::write(&path, BlobHash::from(key.to_bytes()).to_string()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// The key with this number; every test has the same ones.
pub fn key(number: u8) -> Keypair {
    Keypair::from_bytes([number; 32]).unwrap()
}

/// A hub, its miners, and whoever publishes there.
pub struct Fog {
    /// The hub.
    pub hub: Hub,
    /// The miners, in the order in which they were named.
    pub miners: Vec<Miner>,
    /// A client of the hub.
    pub buyer: Buyer,
    /// The author of all functions here.
    pub author: Keypair,
    /// Everything that is written in this test.
    pub dir: TempDir,
}

impl Fog {
    /// Starts a private fog of these miners and waits until all have joined.
    pub async fn start(conducts: &[Conduct]) -> Self {
        let keys = (0..conducts.len()).map(|at| key(10 + at as u8)).collect();
        Self::start_with(TempDir::new().unwrap(), &[], conducts, keys).await
    }

    /// The same with further arguments for the hub, and keys that somebody else has chosen.
    pub async fn start_with(
        dir: TempDir,
        hub_arguments: &[String],
        conducts: &[Conduct],
        keys: Vec<Keypair>,
    ) -> Self {
        let hub = Hub::start(dir.path().join("hub"), hub_arguments).await;
        let start = |(at, (conduct, key)): (usize, (&Conduct, Keypair))| {
            Miner::start(
                dir.path().join(format!("miner{at}")),
                &hub.url,
                key,
                *conduct,
            )
        };
        let miners: Vec<Miner> = conducts.iter().zip(keys).enumerate().map(start).collect();
        let buyer = Buyer::new(&hub.url);
        let fog = Self {
            hub,
            miners,
            buyer,
            author: key(1),
            dir,
        };
        fog.everybody_is_here().await;
        fog
    }

    /// Waits until all miners that were not dismissed are connected.
    pub async fn everybody_is_here(&self) {
        let all_are_here = || async {
            let known = self.miners_by_id().await;
            let is_here = |miner: &Miner| {
                let seen = known.get(&miner.id);
                seen.is_some_and(|seen| seen["present"] == true || seen["dismissed"] == true)
            };
            self.miners.iter().all(is_here).then_some(())
        };
        until("all miners' joining", all_are_here).await;
    }

    /// What the hub says about each miner.
    pub async fn miners_by_id(&self) -> BTreeMap<String, Value> {
        let listed = self.buyer.get("/v1/miners").await;
        let miners = listed["miners"].as_array().unwrap().clone();
        let by_id = |miner: Value| (miner["miner"].as_str().unwrap().to_owned(), miner);
        miners.into_iter().map(by_id).collect()
    }

    /// Publishes an example of the project.
    pub async fn publish_example(&self, name: &str) {
        self.publish(name, &guests::example(name)).await;
    }

    /// Publishes a module as version 1.0.0 of a name.
    pub async fn publish(&self, name: &str, module: &[u8]) {
        let function = format!("{name}@1.0.0");
        let answer = self.buyer.publish(&function, module, &self.author).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// Waits for a job's end and gives its description.
    pub async fn ended(&self, job: &str) -> Value {
        let path = format!("/v1/jobs/{job}");
        let ended = || async {
            let request = self.buyer.request(reqwest::Method::GET, &path);
            let seen = self.buyer.try_send(request).await?.json();
            (!seen["answer"].is_null()).then_some(seen)
        };
        until("the job's end", ended).await
    }
}

impl Drop for Fog {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.hub.process.show();
            self.miners.iter().for_each(|miner| miner.process.show());
        }
    }
}

/// A fog that several tests use at the same time: honest miners and the examples.
pub struct Shared(Arc<Fog>);

impl std::ops::Deref for Shared {
    type Target = Fog;

    fn deref(&self) -> &Fog {
        &self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The last one to leave may be a test that passed, so whoever fails shows it.
        if std::thread::panicking() {
            self.0.hub.process.show();
        }
    }
}

/// The shared fog. It ends with the last test that uses it, so that no process outlives the tests.
pub async fn shared() -> Shared {
    static FOG: Mutex<Weak<Fog>> = Mutex::const_new(Weak::new());
    let mut known = FOG.lock().await;
    if let Some(fog) = known.upgrade() {
        return Shared(fog);
    }
    let fog = Fog::start(&[HONEST, HONEST, HONEST]).await;
    for name in ["wordcount", "markdown", "mandelbrot"] {
        fog.publish_example(name).await;
    }
    let fog = Arc::new(fog);
    *known = Arc::downgrade(&fog);
    Shared(fog)
}

/// A hub without any miner, for everything that is answered before one is needed.
pub async fn hub_alone() -> Fog {
    Fog::start(&[]).await
}
