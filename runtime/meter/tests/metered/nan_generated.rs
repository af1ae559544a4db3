//! Random float programs: metered, against the original under Cranelift's own canonicalisation.

use haar_meter::Ending;
use proptest::prelude::*;
use wasmtime::{Config, Engine, Instance, Module, Store, Val};

use crate::engine::{PLENTY, run};
use crate::nan_programs::program;

/// Runs the original with a canonical NaN after every operation: the Deterministic profile.
pub fn run_deterministic(wat: &str, args: &[Val]) -> (i32, Vec<u8>) {
    let mut config = Config::new();
    config.cranelift_nan_canonicalization(true);
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let function = instance.get_func(&mut store, "f").unwrap();
    let mut results = [Val::I32(0)];
    function.call(&mut store, args, &mut results).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    (results[0].unwrap_i32(), memory.data(&store).to_vec())
}

fn check(choices: &[u8], x: i32, y: i32) -> Result<(), TestCaseError> {
    let wat = program(choices);
    let args = [Val::I32(x), Val::I32(y)];
    let ran = run(&wat, "f", &args, PLENTY);
    let (result, memory) = run_deterministic(&wat, &args);
    prop_assert_eq!(ran.ending, Ending::Returned);
    let differs = ran
        .memory
        .iter()
        .zip(&memory)
        .position(|(ours, theirs)| ours != theirs);
    prop_assert_eq!(differs, None, "memories differ: {}", wat);
    prop_assert_eq!(ran.results[0].unwrap_i32(), result, "{}", wat);
    Ok(())
}

// `PROPTEST_CASES` runs more of them.
proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn float_programs_leave_the_bits_of_the_deterministic_profile(
        choices in proptest::collection::vec(any::<u8>(), 0..3000), x: i32, y: i32,
    ) {
        check(&choices, x, y)?;
    }
}
