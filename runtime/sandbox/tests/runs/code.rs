//! Compiled code that leaves the process: what is believed, and what never is.

use std::cell::Cell;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use haar_records::{RunConfig, Status};
use haar_sandbox::{
    Artifact, ArtifactError, CodeCache, CodeCacheError, CodeId, CodeKey, Compiler, PrepareError,
    Prepared, RunSpec, Sandbox, SandboxConfig,
};
use tempfile::TempDir;

use crate::guests::{PLENTY, assemble, command_wat, config, sandbox};

const KEY: [u8; 32] = [7; 32];
/// More than all entries of a test.
const ROOM: u64 = 1 << 30;

fn compiler() -> Compiler {
    Compiler::new().unwrap()
}

/// A command that exits with this code, and what it is to be run with.
fn exiting(code: u8) -> (Vec<u8>, RunConfig) {
    let module = assemble(&command_wat(&format!("(call $exit (i32.const {code}))")));
    let config = config(&module, b"");
    (module, config)
}

/// Runs what was prepared from [`exiting`].
#[track_caller]
fn check_exit(prepared: &Prepared, config: &RunConfig, code: u8) {
    let spec = RunSpec {
        input: b"",
        config,
        fuel_max: PLENTY,
    };
    let outcome = sandbox().run(prepared, &spec).unwrap().outcome;
    assert_eq!(outcome.status, Status::Returned);
    assert_eq!(outcome.exit_code, u32::from(code));
}

/// A cache in a folder of its own.
struct Shelf {
    folder: TempDir,
}

impl Shelf {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("code")
    }

    fn open(&self) -> CodeCache {
        self.open_for(ROOM)
    }

    fn open_for(&self, bytes_max: u64) -> CodeCache {
        CodeCache::open(&self.path(), compiler().engine_id(), bytes_max).unwrap()
    }

    /// The folder of the one engine.
    fn entries(&self) -> PathBuf {
        self.path().join(compiler().engine_id().to_string())
    }

    /// The file of the only entry.
    fn entry(&self) -> PathBuf {
        let mut names = fs::read_dir(self.entries()).unwrap();
        let entry = names.next().unwrap().unwrap().path();
        assert!(names.next().is_none());
        entry
    }
}

/// Compiles, unless the cache has it; says whether it did.
fn find(cache: &CodeCache, code: u8) -> (File, bool) {
    let (module, config) = exiting(code);
    let compiled = Cell::new(false);
    let id = CodeId::of(&module, &config);
    let file = cache.find_or_compile(id, || {
        compiled.set(true);
        compiler().compile(&module, &config)
    });
    (file.unwrap(), compiled.get())
}

#[test]
fn what_another_process_compiled_runs_here() {
    let (module, config) = exiting(5);
    let key = CodeKey::from_bytes(KEY);
    let bytes = compiler().compile(&module, &config).unwrap().to_bytes(&key);
    let artifact = Artifact::from_bytes(bytes, &key).unwrap();
    assert_eq!(artifact.id(), CodeId::of(&module, &config));
    check_exit(&sandbox().load(&artifact).unwrap(), &config, 5);
}

#[test]
fn compiling_twice_gives_the_same_bytes() {
    let (module, config) = exiting(6);
    let key = CodeKey::from_bytes(KEY);
    let compile = || compiler().compile(&module, &config).unwrap().to_bytes(&key);
    assert!(compile() == compile());
}

#[test]
fn a_refusal_passes_through_the_compiler() {
    let config = config(b"no module", b"");
    let error = compiler().compile(b"no module", &config).unwrap_err();
    assert!(matches!(error, PrepareError::Rejected(_)), "{error}");
}

#[test]
fn bytes_that_the_key_did_not_seal_are_refused() {
    let (module, config) = exiting(7);
    let key = CodeKey::from_bytes(KEY);
    let bytes = compiler().compile(&module, &config).unwrap().to_bytes(&key);
    let other = CodeKey::from_bytes([8; 32]);
    assert_eq!(
        Artifact::from_bytes(bytes.clone(), &other),
        Err(ArtifactError::Unsealed)
    );

    // A flipped bit anywhere, in code, header or footer.
    for at in (0..bytes.len())
        .step_by(bytes.len() / 97)
        .chain(bytes.len() - 56..bytes.len())
    {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        let error = Artifact::from_bytes(bytes, &key).unwrap_err();
        assert!(
            matches!(
                error,
                ArtifactError::Unsealed | ArtifactError::NotAnArtifact { .. }
            ),
            "{at}: {error}"
        );
    }

    // Every length but the right one.
    for len in (0..bytes.len())
        .step_by(1_009)
        .chain([1, 55, 56, 57, bytes.len() - 1])
    {
        let error = Artifact::from_bytes(bytes[..len].to_vec(), &key).unwrap_err();
        assert!(
            matches!(error, ArtifactError::NotAnArtifact { .. }),
            "{len}: {error}"
        );
    }
}

#[test]
fn a_file_is_checked_as_bytes_are() {
    let (module, config) = exiting(8);
    let key = CodeKey::from_bytes(KEY);
    let bytes = compiler().compile(&module, &config).unwrap().to_bytes(&key);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let load = |bytes: &[u8], key: &CodeKey| {
        fs::write(&path, bytes).unwrap();
        sandbox().load_file(File::open(&path).unwrap(), key)
    };

    let other = CodeKey::from_bytes([8; 32]);
    assert_eq!(load(&bytes, &other).unwrap_err(), ArtifactError::Unsealed);
    for len in [0, 10, bytes.len() / 2, bytes.len() - 1] {
        let error = load(&bytes[..len], &key).unwrap_err();
        assert!(
            matches!(error, ArtifactError::NotAnArtifact { .. }),
            "{error}"
        );
    }
    let mut changed = bytes.clone();
    changed[100] ^= 1;
    assert_eq!(load(&changed, &key).unwrap_err(), ArtifactError::Unsealed);
    check_exit(&load(&bytes, &key).unwrap(), &config, 8);
}

#[test]
fn code_outlives_the_process_that_made_it() {
    let shelf = Shelf::new();
    assert!(find(&shelf.open(), 9).1);

    let cache = shelf.open();
    let (file, compiled) = find(&cache, 9);
    assert!(!compiled);
    let (module, config) = exiting(9);
    let key = cache.entry_key(CodeId::of(&module, &config));
    check_exit(&sandbox().load_file(file, &key).unwrap(), &config, 9);
    assert_eq!(cache.take_faults(), (Vec::new(), 0));
}

#[test]
fn the_key_of_one_entry_opens_no_other() {
    let shelf = Shelf::new();
    let cache = shelf.open();
    let (file, _) = find(&cache, 10);
    let (module, config) = exiting(11);
    let key = cache.entry_key(CodeId::of(&module, &config));
    let error = sandbox().load_file(file, &key).unwrap_err();
    assert_eq!(error, ArtifactError::Unsealed);
}

#[test]
fn a_sandbox_takes_code_from_its_cache() {
    let shelf = Shelf::new();
    let (module, config) = exiting(12);
    for compiled in [0, 1] {
        let sandbox = Sandbox::new(SandboxConfig {
            concurrency: 1,
            prepared_max: 4,
        })
        .unwrap()
        .with_code_cache(shelf.open());
        assert_eq!(fs::read_dir(shelf.entries()).unwrap().count(), compiled);
        let prepared = sandbox.prepare(&module, &config).unwrap();
        let spec = RunSpec {
            input: b"",
            config: &config,
            fuel_max: PLENTY,
        };
        assert_eq!(sandbox.run(&prepared, &spec).unwrap().outcome.exit_code, 12);
    }
}

/// Spoils the only entry, and expects it to be told, removed and compiled again.
#[track_caller]
fn check_distrusted(spoil: impl FnOnce(&Path), reason: &str) {
    let shelf = Shelf::new();
    let cache = shelf.open();
    find(&cache, 13);
    let entry = shelf.entry();
    spoil(&entry);

    let (_, compiled) = find(&cache, 13);
    assert!(compiled, "{reason}");
    let (faults, more) = cache.take_faults();
    assert_eq!((faults.len(), more), (1, 0), "{faults:?}");
    assert!(faults[0].to_string().contains(reason), "{}", faults[0]);
    assert!(!find(&cache, 13).1, "whole again");
    assert!(shelf.entry().symlink_metadata().unwrap().is_file());
}

fn change(entry: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(entry).unwrap();
    change(&mut bytes);
    fs::write(entry, bytes).unwrap();
}

#[test]
fn a_spoiled_entry_is_compiled_again() {
    check_distrusted(|entry| change(entry, |bytes| bytes[4_000] ^= 1), "seal");
    check_distrusted(
        |entry| change(entry, |bytes| bytes.truncate(9_000)),
        "no artifact",
    );
    check_distrusted(|entry| change(entry, Vec::clear), "no artifact");
    check_distrusted(|entry| change(entry, |bytes| bytes.push(0)), "no artifact");
    let open = |mode| move |entry: &Path| fs::set_permissions(entry, Permissions::from_mode(mode));
    check_distrusted(|entry| open(0o620)(entry).unwrap(), "620");
    check_distrusted(|entry| open(0o602)(entry).unwrap(), "602");
    check_distrusted(
        |entry| {
            let elsewhere = entry.parent().unwrap().parent().unwrap().join("elsewhere");
            fs::rename(entry, &elsewhere).unwrap();
            symlink(&elsewhere, entry).unwrap();
        },
        "no plain file",
    );
    check_distrusted(
        |entry| {
            fs::remove_file(entry).unwrap();
            fs::create_dir(entry).unwrap();
        },
        "no plain file",
    );
}

#[test]
fn a_strangers_file_is_not_believed() {
    // Only root can give a file away.
    let probe = tempfile::NamedTempFile::new().unwrap();
    if chown(probe.path(), Some(65_534), None).is_err() {
        return;
    }
    let give_away = |entry: &Path| chown(entry, Some(65_534), None).unwrap();
    check_distrusted(give_away, "user 65534");
}

#[test]
fn an_entry_under_another_name_is_not_believed() {
    let shelf = Shelf::new();
    let cache = shelf.open();
    find(&cache, 14);
    let one = shelf.entry();
    let (module, config) = exiting(15);
    cache
        .put(&compiler().compile(&module, &config).unwrap())
        .unwrap();
    let two = fs::read_dir(shelf.entries())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| *path != one)
        .unwrap();

    fs::rename(&one, &two).unwrap();
    assert!(cache.find(CodeId::of(&module, &config)).is_none());
    let (faults, _) = cache.take_faults();
    assert!(faults[0].to_string().contains("seal"), "{}", faults[0]);
}

#[test]
fn a_key_that_others_could_read_is_drawn_again() {
    for spoil in [
        (|key: &Path| fs::set_permissions(key, Permissions::from_mode(0o640)).unwrap())
            as fn(&Path),
        |key| fs::write(key, [1; 31]).unwrap(),
        |key| fs::write(key, [1; 33]).unwrap(),
    ] {
        let shelf = Shelf::new();
        find(&shelf.open(), 16);
        let key = shelf.path().join("key");
        let before = fs::read(&key).unwrap();
        spoil(&key);

        let cache = shelf.open();
        assert_ne!(fs::read(&key).unwrap(), before);
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(find(&cache, 16).1, "nothing of the old key is believed");
        assert_eq!(cache.take_faults().0.len(), 2);
    }
}

#[test]
fn a_folder_that_others_may_enter_is_refused() {
    let shelf = Shelf::new();
    for mode in [0o770, 0o707, 0o755] {
        let _ = fs::remove_dir(shelf.path());
        fs::create_dir(shelf.path()).unwrap();
        fs::set_permissions(shelf.path(), Permissions::from_mode(mode)).unwrap();
        let error = CodeCache::open(&shelf.path(), compiler().engine_id(), ROOM).unwrap_err();
        assert!(
            matches!(error, CodeCacheError::NotPrivate { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_link_is_no_folder_of_ones_own() {
    let shelf = Shelf::new();
    let elsewhere = shelf.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::set_permissions(&elsewhere, Permissions::from_mode(0o700)).unwrap();
    symlink(&elsewhere, shelf.path()).unwrap();
    let error = CodeCache::open(&shelf.path(), compiler().engine_id(), ROOM).unwrap_err();
    assert!(
        matches!(error, CodeCacheError::NotPrivate { .. }),
        "{error}"
    );
}

#[test]
fn code_of_another_engine_is_deleted_at_the_start_and_nothing_else() {
    let shelf = Shelf::new();
    drop(shelf.open());
    let old = shelf.path().join("0".repeat(64));
    let unknown = shelf.path().join("notes");
    for folder in [&old, &unknown] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("a.cwasm"), b"old").unwrap();
    }
    let junk = shelf.entries().join("junk");
    fs::write(&junk, b"junk").unwrap();

    let cache = shelf.open();
    assert!(!old.exists());
    assert!(!junk.exists());
    assert!(unknown.join("a.cwasm").exists());
    assert_eq!(cache.take_faults().0.len(), 2);
}

#[test]
fn the_longest_unused_code_makes_room() {
    let shelf = Shelf::new();
    let bytes = {
        let cache = shelf.open();
        find(&cache, 17);
        cache.bytes()
    };
    let cache = shelf.open_for(bytes * 5 / 2);
    find(&cache, 18);
    assert!(!find(&cache, 17).1);
    let (kept, _) = find(&cache, 19);
    assert!(cache.bytes() <= bytes * 5 / 2);
    assert!(!find(&cache, 17).1);
    assert!(find(&cache, 18).1, "the longest unused one is gone");

    // What is open stays usable when its name is gone.
    let cache = shelf.open_for(0);
    assert_eq!(cache.bytes(), 0);
    let (module, config) = exiting(19);
    let key = cache.entry_key(CodeId::of(&module, &config));
    check_exit(&sandbox().load_file(kept, &key).unwrap(), &config, 19);
}

#[test]
fn many_that_ask_at_once_wait_for_one_compilation() {
    let shelf = Shelf::new();
    let cache = shelf.open();
    let compiled = std::sync::atomic::AtomicU32::new(0);
    let (module, config) = exiting(20);
    let id = CodeId::of(&module, &config);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let file = cache.find_or_compile(id, || {
                    compiled.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    compiler().compile(&module, &config)
                });
                let prepared = sandbox().load_file(file.unwrap(), &cache.entry_key(id));
                check_exit(&prepared.unwrap(), &config, 20);
            });
        }
    });
    assert_eq!(compiled.into_inner(), 1);
}

#[test]
fn a_module_that_breaks_the_compiler_is_not_tried_with_every_job() {
    let shelf = Shelf::new();
    let cache = shelf.open();
    let (module, config) = exiting(21);
    let id = CodeId::of(&module, &config);
    let failure = PrepareError::Compile {
        reason: "killed".to_owned(),
    };
    let first = cache.find_or_compile(id, || Err(failure.clone()));
    assert_eq!(first.unwrap_err(), failure);
    let again = cache.find_or_compile(id, || compiler().compile(&module, &config));
    assert_eq!(again.unwrap_err(), failure);
}

#[test]
fn a_compiler_cannot_put_its_code_under_anothers_name() {
    let shelf = Shelf::new();
    let cache = shelf.open();
    let ((asked, asked_config), (other, other_config)) = (exiting(24), exiting(25));
    let id = CodeId::of(&asked, &asked_config);
    let error = cache
        .find_or_compile(id, || compiler().compile(&other, &other_config))
        .unwrap_err();
    assert!(matches!(error, PrepareError::Compile { .. }), "{error}");
    assert!(cache.find(id).is_none());
    assert!(cache.find(CodeId::of(&other, &other_config)).is_none());
}

#[test]
fn a_cache_that_cannot_write_still_serves() {
    let shelf = Shelf::new();
    let cache = shelf.open();
    fs::remove_dir(shelf.entries()).unwrap();
    let (file, compiled) = find(&cache, 22);
    assert!(compiled);
    let (module, config) = exiting(22);
    let key = cache.entry_key(CodeId::of(&module, &config));
    check_exit(&sandbox().load_file(file, &key).unwrap(), &config, 22);
    assert!(cache.take_faults().0[0].to_string().contains("not kept"));
}

#[test]
fn an_artifact_is_loaded_apart_from_the_cache_of_prepared_modules() {
    let (module, config) = exiting(23);
    let artifact = sandbox().compiler().compile(&module, &config).unwrap();
    let prepared = sandbox().load(&artifact).unwrap();
    assert!(!Arc::ptr_eq(&prepared, &sandbox().load(&artifact).unwrap()));
    check_exit(&prepared, &config, 23);
}
