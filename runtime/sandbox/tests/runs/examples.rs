//! The example functions of this project, as a buyer would call them.

use std::path::{Path, PathBuf};

use haar_records::http_frame::{Request, Response};
use haar_records::{Fuel, Status};
use haar_sandbox::Run;

use crate::guests::run;

/// Enough for the examples on small inputs.
const FUEL_MAX: Fuel = Fuel(10_000_000_000);

/// An example's module: from `HAAR_GUESTS`, or from where the build leaves it.
fn module(name: &str) -> Option<Vec<u8>> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let folders = [
        std::env::var_os("HAAR_GUESTS").map(PathBuf::from),
        Some(target.join("guests")),
        Some(target.join("wasm32-wasip1/guest")),
    ];
    let found = folders
        .into_iter()
        .flatten()
        .find_map(|folder| std::fs::read(folder.join(format!("{name}.wasm"))).ok());
    if found.is_none() {
        println!("skipped: {name}.wasm is not built; `cargo xtask guests` builds it");
    }
    found
}

/// Runs an example twice and gives the answer that both agree on.
fn call(name: &str, input: &[u8]) -> Option<Run> {
    let module = module(name)?;
    let first = run(&module, input, FUEL_MAX).unwrap();
    assert_eq!(run(&module, input, FUEL_MAX).unwrap(), first);
    assert_eq!(first.outcome.status, Status::Returned, "{first:?}");
    Some(first)
}

#[test]
fn wordcount_counts_words() {
    let Some(run) = call("wordcount", b"one two two\nthree three three\n") else {
        return;
    };
    let text = String::from_utf8(run.output).unwrap();
    assert_eq!(run.outcome.exit_code, 0);
    assert!(text.contains("three"), "{text}");
    println!("{} fuel: {text}", run.outcome.fuel_used.0);
}

#[test]
fn mandelbrot_renders_a_tile() {
    let tile = r#"{"width":64,"height":48,"x":0,"y":0,"tile_width":64,"tile_height":48,
        "center_re":-0.5,"center_im":0.0,"scale":3.0,"iterations":200}"#;
    let Some(run) = call("mandelbrot", tile.as_bytes()) else {
        return;
    };
    assert_eq!(run.outcome.exit_code, 0);
    assert_eq!(run.output.len(), 64 * 48 * 3);
    println!("{} fuel", run.outcome.fuel_used.0);
}

#[test]
fn what_is_no_tile_is_an_application_error() {
    let Some(run) = call("mandelbrot", b"no tile") else {
        return;
    };
    assert_eq!(run.outcome.exit_code, 1);
    println!("{}", String::from_utf8_lossy(&run.output));
}

#[test]
fn markdown_answers_a_request_with_a_page() {
    let request = Request {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        body: b"# Title".to_vec(),
        ..Request::default()
    };
    let Some(run) = call("markdown", &request.encode().unwrap()) else {
        return;
    };
    assert_eq!(run.outcome.exit_code, 0);
    let response = Response::decode(&run.output).unwrap();
    assert_eq!(response.status, 200);
    assert!(String::from_utf8_lossy(&response.body).contains("<h1>Title</h1>"));
    println!("{} fuel", run.outcome.fuel_used.0);
}

#[test]
fn redact_answers_alike_and_for_less_once_it_is_initialised() {
    let Some(module) = module("redact") else {
        return;
    };
    let initialised = haar_sandbox::preinit(&module).unwrap();
    let text = b"Write to ada@example.org or call +44 20 7946 0958.".repeat(20);
    let before = run(&module, &text, FUEL_MAX).unwrap();
    let after = run(&initialised.module, &text, FUEL_MAX).unwrap();
    assert!(
        before
            .output
            .starts_with(b"Write to [email] or call [phone].")
    );
    assert_eq!(before.output, after.output);
    let (before, after) = (before.outcome.fuel_used.0, after.outcome.fuel_used.0);
    assert!(after * 10 < before, "{after} and {before}");
    println!(
        "{before} fuel without, {after} with an initialisation of {}",
        initialised.fuel_used
    );
    println!(
        "{} bytes without, {} with",
        module.len(),
        initialised.module.len()
    );
}
