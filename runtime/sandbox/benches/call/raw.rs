//! The engine alone, with the sandbox's settings or others: the floor.

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, InstancePre, Linker, Module, ModuleExport,
    PoolingAllocationConfig, Store,
};

/// What the matrix turns.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub is_pooling: bool,
    pub is_cow: bool,
    pub resident_bytes: usize,
}

impl Settings {
    /// As the sandbox has them.
    pub const OURS: Self = Self {
        is_pooling: true,
        is_cow: true,
        resident_bytes: 64 << 10,
    };

    fn engine(self) -> Engine {
        let mut config = Config::new();
        config
            .memory_may_move(false)
            .memory_init_cow(self.is_cow)
            .concurrency_support(false)
            .native_unwind_info(false)
            .wasm_backtrace_max_frames(None)
            .max_wasm_stack(2 << 20);
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        if self.is_pooling {
            let mut pool = PoolingAllocationConfig::new();
            pool.total_core_instances(4)
                .total_memories(4)
                .total_tables(4)
                .max_core_instance_size(16 << 20)
                .max_memory_size(1 << 30)
                .table_elements(1_000_000)
                .linear_memory_keep_resident(self.resident_bytes)
                .table_keep_resident(512 << 10)
                .pagemap_scan(Enabled::No);
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        }
        Engine::new(&config).unwrap()
    }
}

/// A reactor without imports, ready to be called.
pub struct Raw {
    engine: Engine,
    pre: InstancePre<()>,
    memory: ModuleExport,
    alloc: ModuleExport,
    run: ModuleExport,
    /// Of a metered module.
    fuel: Option<ModuleExport>,
}

impl Raw {
    pub fn new(settings: Settings, module: &[u8]) -> Self {
        let engine = settings.engine();
        let module = Module::new(&engine, module).unwrap();
        module.initialize_copy_on_write_image().unwrap();
        let export = |name| module.get_export_index(name);
        Self {
            pre: Linker::new(&engine).instantiate_pre(&module).unwrap(),
            memory: export("memory").unwrap(),
            alloc: export("haar_alloc").unwrap(),
            run: export("haar_run").unwrap(),
            fuel: export(haar_meter::EXPORT_FUEL),
            engine,
        }
    }

    /// Instantiates and drops.
    pub fn instantiate(&self) {
        let mut store = Store::new(&self.engine, ());
        self.pre.instantiate(&mut store).unwrap();
    }

    /// Instantiates, gives an input, calls, reads the answer, drops.
    pub fn call(&self, input: &[u8]) -> Vec<u8> {
        let mut store = Store::new(&self.engine, ());
        let instance = self.pre.instantiate(&mut store).unwrap();
        if let Some(fuel) = &self.fuel {
            let fuel = instance.get_module_export(&mut store, fuel);
            let fuel = fuel.unwrap().into_global().unwrap();
            fuel.set(&mut store, i64::MAX.into()).unwrap();
        }
        let memory = instance.get_module_export(&mut store, &self.memory);
        let memory = memory.unwrap().into_memory().unwrap();
        let mut at = 0;
        if !input.is_empty() {
            let alloc = instance.get_module_export(&mut store, &self.alloc);
            let alloc = alloc.unwrap().into_func().unwrap();
            let alloc = alloc.typed::<i32, i32>(&store).unwrap();
            at = alloc.call(&mut store, input.len() as i32).unwrap();
            memory.write(&mut store, at as usize, input).unwrap();
        }
        let run = instance.get_module_export(&mut store, &self.run);
        let run = run.unwrap().into_func().unwrap();
        let run = run.typed::<(i32, i32), i64>(&store).unwrap();
        let packed = run.call(&mut store, (at, input.len() as i32)).unwrap();
        let (start, len) = ((packed >> 32) as usize, packed as u32 as usize);
        memory.data(&store)[start..start + len].to_vec()
    }
}
