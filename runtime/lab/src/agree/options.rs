//! What the command is asked to do.

use std::path::PathBuf;

const USAGE: &str = "\
haar-lab agree --target <folder> [options]

  --target <folder>   where cargo xtask put engines/, guests/ and programs/
  --modules <n>       programs of wasm-smith, and as many with loops (300)
  --scripts <n>       scripts of host calls (1000)
  --seed <n>          what they are made from (1)
  --first <n>         where in the seed's sequence of programs to begin (0)
  --fuel <n>          the limit of a guest or real program (20000000)
  --stops <n>         random limits for each guest or real program (10)
  --only <parts>      some of spec,smith,loops,hostile,guests,core,scripts, with commas
  --engine <names>    only these configurations, with commas; `none` for wasmtime alone
  --keep <folder>     put the corpus there and leave it";

/// The command's options.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) target: PathBuf,
    pub(crate) modules: u64,
    pub(crate) scripts: u64,
    pub(crate) seed: u64,
    pub(crate) first: u64,
    pub(crate) fuel: u64,
    pub(crate) stops: u32,
    only: Option<Vec<String>>,
    engines: Option<Vec<String>>,
    pub(crate) keep: Option<PathBuf>,
}

impl Options {
    /// Reads the arguments, or says how they are used.
    pub(crate) fn read(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            target: PathBuf::new(),
            modules: 300,
            scripts: 1_000,
            seed: 1,
            first: 0,
            fuel: 20_000_000,
            stops: 10,
            only: None,
            engines: None,
            keep: None,
        };
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            let value = rest.next().ok_or_else(|| USAGE.to_owned())?;
            let number = || {
                let value = value.parse::<u64>();
                value.map_err(|_| format!("{flag} wants a number\n\n{USAGE}"))
            };
            let list = || Some(value.split(',').map(str::to_owned).collect());
            match flag.as_str() {
                "--target" => options.target = value.into(),
                "--modules" => options.modules = number()?,
                "--scripts" => options.scripts = number()?,
                "--seed" => options.seed = number()?,
                "--first" => options.first = number()?,
                "--fuel" => options.fuel = number()?,
                "--stops" => options.stops = u32::try_from(number()?).unwrap_or(u32::MAX),
                "--only" => options.only = list(),
                "--engine" => options.engines = list(),
                "--keep" => options.keep = Some(value.into()),
                _ => return Err(format!("there is no option {flag}\n\n{USAGE}")),
            }
        }
        if options.target.as_os_str().is_empty() {
            return Err(format!("--target is missing\n\n{USAGE}"));
        }
        Ok(options)
    }

    /// Whether a part of the corpus is wanted.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| only.iter().any(|name| name == part))
    }

    /// Whether a configuration is wanted.
    pub(crate) fn wants_engine(&self, name: &str) -> bool {
        let fits = |wanted: &String| name == wanted || name.starts_with(&format!("{wanted}-"));
        self.engines
            .as_ref()
            .is_none_or(|names| names.iter().any(fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Options, String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        Options::read(&words)
    }

    #[test]
    fn numbers_and_lists_are_read() {
        let options = read(&[
            "--target",
            "t",
            "--modules",
            "7",
            "--only",
            "spec,core",
            "--engine",
            "v8",
        ]);
        let options = options.unwrap_or_else(|usage| panic!("{usage}"));
        assert_eq!(options.modules, 7);
        assert!(options.wants("core") && !options.wants("smith"));
        assert!(options.wants_engine("v8-liftoff") && !options.wants_engine("jsc"));
    }

    #[test]
    fn what_cannot_be_read_is_usage() {
        assert!(read(&[]).is_err());
        assert!(read(&["--target"]).is_err());
        assert!(read(&["--target", "t", "--modules", "many"]).is_err());
        assert!(read(&["--target", "t", "--speed", "9"]).is_err());
    }
}
