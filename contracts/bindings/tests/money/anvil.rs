//! The same story on another implementation of the chain.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use haar_bindings::Chain;

use crate::story;

/// Where npm puts it, under either name.
const PATHS: [&str; 2] = [
    "../node_modules/.bin/anvil",
    "../node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil",
];

/// How often we look whether it listens, and for how long in all.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS_MAX: u32 = 600;

/// A process that ends with the test.
struct Anvil {
    child: Child,
    url: String,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Anvil {
    fn start(program: &PathBuf) -> Self {
        // The port may be taken by somebody else in between; then the test fails and says so.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new(program)
            .args([
                "--silent",
                "--host",
                "127.0.0.1",
                "--port",
                &port.to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        }
    }

    async fn connect(&self) -> Chain {
        for _ in 0..LOOKS_MAX {
            if let Ok(chain) = Chain::connect(&self.url).await {
                return chain;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("anvil does not listen at {}", self.url);
    }
}

#[tokio::test]
async fn the_money_takes_the_same_way_on_anvil() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let Some(program) = PATHS
        .iter()
        .map(|path| folder.join(path))
        .find(|path| path.is_file())
    else {
        eprintln!("skipped: no anvil in contracts/node_modules; `npm ci` in contracts installs it");
        return;
    };
    let anvil = Anvil::start(&program);
    let chain = anvil.connect().await;
    story::tell(&chain).await;
}
