//! The command line among other programs.

use std::io::Read;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::fog::shared;
use crate::process::{haar, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_is_no_error() {
    let fog = shared().await;
    // More bytes than a pipe holds, so that the writer must notice that nobody reads.
    let tile = json!({
        "width": 400, "height": 400, "x": 0, "y": 0, "tile_width": 300, "tile_height": 300,
        "center_re": -0.5, "center_im": 0.0, "scale": 3.0, "iterations": 20,
    });
    let input = fog.dir.path().join("tile.json");
    std::fs::write(&input, tile.to_string()).unwrap();
    let mut command = haar();
    command
        .args(["call", "mandelbrot", "--hub", &fog.hub.url])
        .arg(&input);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}

#[tokio::test]
async fn a_call_writes_the_output_to_stdout_and_facts_as_json_if_asked() {
    let fog = shared().await;
    let input = fog.dir.path().join("text");
    std::fs::write(&input, "one two\n").unwrap();
    let mut plain = haar();
    plain
        .args(["call", "wordcount@1.0.0", "--hub", &fog.hub.url])
        .arg(&input);
    let ended = run(plain).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(ended.stdout.starts_with(b"      1       2       8\n"));

    let mut json = haar();
    json.args(["call", "wordcount", "--json", "--hub", &fog.hub.url])
        .arg(&input);
    let facts: Value = serde_json::from_slice(&run(json).await.stdout).unwrap();
    assert_eq!(
        (&facts["verified"], &facts["exit_code"]),
        (&"quorum=2/2".into(), &0.into())
    );
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_a_sentence() {
    let fog = shared().await;
    let cases: [(&[&str], &str); 4] = [
        (
            &["call", "nothing", "/dev/null", "--hub", &fog.hub.url],
            "no function 'nothing' is published",
        ),
        (
            &[
                "call",
                "wordcount",
                "/does/not/exist",
                "--hub",
                &fog.hub.url,
            ],
            "cannot read the input /does/not/exist",
        ),
        (
            &[
                "call",
                "wordcount",
                "/dev/null",
                "--hub",
                "http://127.0.0.1:1",
            ],
            "cannot reach the hub at http://127.0.0.1:1",
        ),
        (
            &["call", "wordcount", "/dev/null", "--hub", "hub"],
            "'hub' is not a hub's URL",
        ),
    ];
    for (arguments, words) in cases {
        let mut command = haar();
        command.args(arguments);
        let ended = run(command).await;
        assert_eq!(ended.code, 1);
        assert!(
            ended.stderr.starts_with("error: ") && ended.stderr.contains(words),
            "{}",
            ended.stderr
        );
        assert!(ended.stdout.is_empty());
    }
    let mut unknown = haar();
    unknown.arg("mine");
    assert_eq!(run(unknown).await.code, 2);
}
