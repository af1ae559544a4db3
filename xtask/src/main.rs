//! The project's automation: everything that is longer than one cargo command.
//!
//! It starts programs and reports what they did. Progress goes to standard error, so that
//! `cargo xtask demo --json` keeps standard output for records. It never decides anything that the
//! product decides.

mod apt;
mod ci;
mod console;
mod contracts;
mod debian;
mod engines;
mod guests;
mod process;
mod run;
mod targets;
mod tidy;
mod workspace;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  demo [args..]       build the guests and the binary, then run `haar demo` with these arguments
  test [args..]       build the guests, then `cargo test --workspace` with these arguments
  sim [args..]        run the protocol's simulator, for instance `sim --seeds 1000`
  fuzz [target]       throw made-up inputs at admission, rewriting, wasi, manifest, or all of them
                      --runs N  how many, --seed S  from where, --replay FILE  one again
  engines             fetch V8, JavaScriptCore and SpiderMonkey into <target>/engines, whichever can be had
  agree [args..]      run one corpus on all engines and against a slow counter
                      --modules N, --seed S, --only PARTS, --engine NAMES; `agree --help` has more
  targets             make sure of the wasm targets: present, from rustup, or from Debian's sources
                      --without-rustup  go straight to Debian's sources
  guests              build examples/functions/* to WASI modules in <target>/guests
  contracts           build and test the contracts and write their artifacts
                      --check  compare the artifacts with the committed ones instead
  pure                check that the pure crates build for wasm32-unknown-unknown
  tidy                check layers, sizes and words
  ci                  everything above that can fail, in order, as the merge check runs it
  help                this text

Exit codes: 0 done, 1 failed, 2 usage. `demo`, `sim`, `test`, `fuzz` and `agree` pass on the code of what they run.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };

    match dispatch(command, rest) {
        Ok(code) => code,
        Err(error) => {
            console::failure(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, rest: &[String]) -> anyhow::Result<ExitCode> {
    // Commands that take no free arguments refuse unknown ones, so that a typing error is not
    // taken for a passed check.
    let known: &[&str] = match command {
        "targets" => &["--without-rustup"],
        "contracts" => &["--check"],
        "demo" | "sim" | "test" | "fuzz" | "agree" => return run::dispatch(command, rest),
        "guests" | "engines" | "pure" | "tidy" | "ci" | "help" | "--help" | "-h" => &[],
        _ => return Ok(usage(&format!("there is no command `{command}`"))),
    };
    if let Some(unknown) = rest
        .iter()
        .find(|argument| !known.contains(&argument.as_str()))
    {
        return Ok(usage(&format!("`{command}` does not take `{unknown}`")));
    }

    let has = |flag: &str| rest.iter().any(|argument| argument == flag);
    match command {
        "targets" => targets::ensure(!has("--without-rustup"))?,
        "contracts" => contracts::build(has("--check"))?,
        "guests" => drop(guests::build()?),
        "engines" => drop(engines::fetch()?),
        "pure" => run::pure()?,
        "tidy" => tidy::check()?,
        "ci" => ci::run()?,
        _ => console::answer(HELP),
    }
    Ok(ExitCode::SUCCESS)
}

fn usage(problem: &str) -> ExitCode {
    console::line(&format!("{problem}\n\n{HELP}"));
    ExitCode::from(2)
}
