//! What an author does at the own desk before anybody else sees a module: look, run, initialise.

use std::path::{Path, PathBuf};
use std::process::Command;

use haar_records::BlobHash;
use serde_json::Value;

use crate::fog::{Fog, HONEST, hub_alone};
use crate::guests;
use crate::process::{Ended, haar, run};

/// A function that fills a table of 32 KiB unless its initialisation has, and answers with a sum.
const TABLE: &str = r#"(module
    (memory (export "memory") 2)
    (global $ready (mut i32) (i32.const 0))
    (func $fill (local $i i32)
        (loop $next
            (i32.store (i32.add (i32.const 4096) (local.get $i))
                (i32.mul (local.get $i) (i32.const 2654435761)))
            (local.set $i (i32.add (local.get $i) (i32.const 4)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 32768))))
        (global.set $ready (i32.const 1)))
    (func (export "haar_init") (call $fill))
    (func (export "haar_abi_v1") (result i32) (i32.const 0))
    (func (export "haar_alloc") (param i32) (result i32) (i32.const 65536))
    (func $answer (export "haar_run") (param i32 i32) (result i64)
        (if (i32.eqz (global.get $ready)) (then (call $fill)))
        (i32.store8 (i32.const 1024) (i32.const 0))
        (i32.store (i32.const 1025) (i32.load (i32.const 20000)))
        (i64.const 0x0000040000000005)))"#;

/// A folder with one module.
fn with_module(module: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest.wasm");
    std::fs::write(&path, module).unwrap();
    (folder, path)
}

fn verb(name: &str, module: &Path, flags: &[&str]) -> Command {
    let mut command = haar();
    command.arg(name).args(flags).arg(module);
    command
}

/// The one record that a verb prints.
fn record(ended: &Ended) -> Value {
    let text = String::from_utf8_lossy(&ended.stdout);
    serde_json::from_str(text.trim_end()).unwrap_or_else(|_| panic!("{text}\n{}", ended.stderr))
}

#[tokio::test]
async fn inspect_shows_a_module_without_running_it() {
    let module = guests::endless_recursion();
    let (_folder, path) = with_module(&module);
    let ended = run(verb("inspect", &path, &[])).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let text = String::from_utf8(ended.stdout).unwrap();
    for part in [
        "a program",
        "admitted   yes",
        "deeper",
        "_start",
        "fd_read ×0",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(text.contains(&BlobHash::of(&module).to_string()));
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{text}");

    let shown = record(&run(verb("inspect", &path, &["--json"])).await);
    assert_eq!(shown["admitted"], true);
    assert_eq!(shown["kind"], "command");
    assert_eq!(shown["module"], BlobHash::of(&module).to_string());
    assert!(shown["metered"]["init_cost"].as_u64() > Some(0));
    let functions = shown["functions"].as_array().unwrap();
    let deeper = functions.iter().find(|it| it["name"] == "deeper").unwrap();
    assert!(deeper["frame_bytes"].as_u64() > Some(320));
    assert!(deeper["metered_bytes"].as_u64() > deeper["body_bytes"].as_u64());
}

#[tokio::test]
async fn inspect_says_why_a_module_is_refused_and_in_which_function() {
    let shared = r#"(module (memory (export "memory") 1) (func (export "_start"))
        (func $spin (drop (i32.atomic.load (i32.const 0)))))"#;
    let (_folder, path) = with_module(&wat::parse_str(shared).unwrap());
    let ended = run(verb("inspect", &path, &[])).await;
    assert_eq!(ended.code, 1);
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(text.contains("no: E_FEATURE_THREADS at byte "), "{text}");
    assert!(text.contains("in the function spin"), "{text}");
    assert!(text.contains("next "), "{text}");

    let shown = record(&run(verb("inspect", &path, &["--json"])).await);
    assert_eq!(shown["refusal"]["function_name"], "spin");
    assert!(shown["refusal"]["offset"].is_u64());
}

#[tokio::test]
async fn inspect_takes_any_bytes() {
    for bytes in [
        &b""[..],
        b"no module",
        b"\0asm\x01\0\0\0\x0a\xff",
        &[0; 4096],
    ] {
        let (_folder, path) = with_module(bytes);
        assert_eq!(run(verb("inspect", &path, &[])).await.code, 1);
        let shown = record(&run(verb("inspect", &path, &["--json"])).await);
        assert_eq!(shown["admitted"], false);
    }
    let missing = run(verb("inspect", Path::new("/no/such/module"), &[])).await;
    assert!(missing.stderr.contains("cannot read the module"));
}

#[tokio::test]
async fn run_gives_what_a_miner_would_give() {
    let fog = Fog::start(&[HONEST, HONEST]).await;
    let module = guests::command(
        "(i32.store (i32.const 0) (i32.const 64))
         (i32.store (i32.const 4) (i32.const 1024))
         (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
         (i32.store (i32.const 4) (i32.load (i32.const 8)))
         (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))",
    );
    fog.publish("echo", &module).await;
    let answer = fog.buyer.call("echo", b"to and fro").await;

    let (folder, path) = with_module(&module);
    let input = folder.path().join("input");
    std::fs::write(&input, "to and fro").unwrap();
    let input = input.to_str().unwrap();
    let ended = run(verb("run", &path, &["--input", input])).await;
    assert_eq!((ended.code, &ended.stdout[..]), (0, &b"to and fro"[..]));
    assert!(
        ended.stderr.contains("returned, exit code 0"),
        "{}",
        ended.stderr
    );

    let ran = record(&run(verb("run", &path, &["--input", input, "--check", "--json"])).await);
    assert_eq!(ran["output_hash"], answer.header("haar-output"));
    assert_eq!(
        ran["fuel_used"].to_string(),
        answer.header("haar-fuel-used")
    );
    assert_eq!(ran["checked"], true);
    assert_eq!(ran["difference"], Value::Null);
}

#[tokio::test]
async fn run_says_how_a_guest_failed() {
    let cases = [
        (guests::endless_loop(), "out of fuel"),
        (guests::endless_recursion(), "deeper than the stack limit"),
        (guests::command("unreachable"), "the function aborted"),
    ];
    for (module, text) in cases {
        let (_folder, path) = with_module(&module);
        let ended = run(verb("run", &path, &["--fuel", "10000000"])).await;
        assert_eq!(ended.code, 1);
        assert!(ended.stderr.contains(text), "{}", ended.stderr);
        assert!(ended.stdout.is_empty());
    }
}

#[tokio::test]
async fn an_initialisation_runs_once_at_publish_and_no_call_pays_for_it() {
    let fog = Fog::start(&[HONEST, HONEST]).await;
    let module = wat::parse_str(TABLE).unwrap();
    let (folder, path) = with_module(&module);
    let key = folder.path().join("author.key");
    let publish = async |name: &str, flags: &[&str]| {
        let mut command = verb("publish", &path, flags);
        command.args(["--name", name, "--hub", &fog.hub.url]);
        command.arg("--key").arg(&key);
        let ended = run(command).await;
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        String::from_utf8(ended.stdout).unwrap()
    };
    let said = publish("warm@1.0.0", &[]).await;
    assert!(said.contains("initialised: "), "{said}");
    let said = publish("cold@1.0.0", &["--no-init"]).await;
    assert!(!said.contains("initialised"), "{said}");

    let (warm, cold) = (
        fog.buyer.call("warm", b"").await,
        fog.buyer.call("cold", b"").await,
    );
    assert_eq!(warm.body, cold.body);
    let fuel =
        |answer: &crate::buyer::Answer| -> u64 { answer.header("haar-fuel-used").parse().unwrap() };
    assert!(fuel(&warm) < fuel(&cold), "{} {}", fuel(&warm), fuel(&cold));

    // What runs here is what was published.
    let ran = record(&run(verb("run", &path, &["--json", "--check"])).await);
    let published = fog.buyer.get("/v1/functions/warm").await;
    assert_eq!(ran["module"], published["module"]);
    assert_eq!(ran["fuel_used"], fuel(&warm));
    let ran = record(&run(verb("run", &path, &["--json", "--no-init"])).await);
    assert_eq!(ran["fuel_used"], fuel(&cold));
}

#[tokio::test]
async fn an_initialisation_that_fails_publishes_nothing() {
    let fog = hub_alone().await;
    let text = TABLE.replace(
        r#""haar_init") (call $fill)"#,
        r#""haar_init") unreachable"#,
    );
    let (folder, path) = with_module(&wat::parse_str(text).unwrap());
    let mut command = verb(
        "publish",
        &path,
        &["--name", "bad@1.0.0", "--hub", &fog.hub.url],
    );
    command.arg("--key").arg(folder.path().join("author.key"));
    let ended = run(command).await;
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.contains("cannot initialise"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("haar_init trapped"),
        "{}",
        ended.stderr
    );
    fog.buyer
        .call("bad", b"")
        .await
        .problem(404, "unknown-function");
}

#[tokio::test]
async fn an_http_function_gets_the_request_that_a_hub_would_make() {
    let fog = crate::fog::shared().await;
    let request = fog.buyer.request(reqwest::Method::POST, "/f/markdown/");
    let answer = fog.buyer.send(request.body("# Fog\n")).await;

    let (folder, path) = with_module(&guests::example("markdown"));
    let input = folder.path().join("page.md");
    std::fs::write(&input, "# Fog\n").unwrap();
    let input = input.to_str().unwrap();
    let ended = run(verb("run", &path, &["--input", input])).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stdout, answer.body);
    assert!(
        ended.stderr.contains("response     200"),
        "{}",
        ended.stderr
    );
    let ran = record(&run(verb("run", &path, &["--input", input, "--json"])).await);
    assert_eq!(ran["output_hash"], answer.header("haar-output"));

    let help = run(verb("run", &path, &["--request", "DELETE /x"])).await;
    assert!(help.stderr.contains("response     405"), "{}", help.stderr);
    let ended = run(verb("run", &path, &["--header", "cookie: a=b"])).await;
    assert_eq!(ended.code, 2);
}

/// Writes what the file `note` in the first directory holds.
fn reader() -> Vec<u8> {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 100) "note")
        (func (export "_start") (local $errno i32)
            (local.set $errno (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4)
                (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
            (if (local.get $errno) (then (call $exit (local.get $errno))))
            (i32.store (i32.const 0) (i32.const 200)) (i32.store (i32.const 4) (i32.const 1000))
            (drop (call $read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))
            (i32.store (i32.const 4) (i32.load (i32.const 8)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
    wat::parse_str(text).unwrap()
}

#[tokio::test]
async fn a_trusted_run_sees_a_directory_and_says_that_it_is_unverified() {
    let (folder, path) = with_module(&reader());
    std::fs::write(folder.path().join("note"), "from this machine").unwrap();
    let directory = format!("{}::/data:ro", folder.path().display());
    let ended = run(verb("run", &path, &["--trusted", "--dir", &directory])).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stdout, b"from this machine");
    assert!(ended.stderr.contains("UNVERIFIED"), "{}", ended.stderr);

    let ran = record(
        &run(verb(
            "run",
            &path,
            &["--trusted", "--json", "--dir", &directory],
        ))
        .await,
    );
    assert_eq!(ran["verified"], false);
    assert_eq!(ran["output"], "from this machine");

    // The same program, as a miner runs it, has an empty tree of its own.
    let ended = run(verb("run", &path, &[])).await;
    assert_eq!((ended.code, ended.stdout.len()), (1, 0));
    assert!(ended.stderr.contains("exit code 44"), "{}", ended.stderr);
}

#[tokio::test]
async fn flags_that_do_not_go_together_are_refused() {
    let (_folder, path) = with_module(&reader());
    for flags in [
        &["--dir", ".::/"][..],
        &["--trusted", "--check"],
        &["--trusted", "--dir", "nothing"],
        &["--env", "nothing"],
    ] {
        let ended = run(verb("run", &path, flags)).await;
        assert_eq!(ended.code, 2, "{flags:?}: {}", ended.stderr);
    }
}
