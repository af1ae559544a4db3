//! One run: what a spec asks for, and the way from there to its outcome.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use haar_meter::fuel_at_start;
use haar_records::{Fuel, Profile, money};
use haar_wasi::{Environment, Wasi};
use wasmtime::{Engine, Store};

use crate::environment::{environment, is_plain};
use crate::guest::Guest;
use crate::machine::Machine;
use crate::outcome::{Abstain, outcome, unstarted};
use crate::prepare::{Linked, Prepared, pages_limit};
use crate::sandbox::{Run, RunSpec, SandboxError};
use crate::seats::Seats;

/// A seat and the thread that belongs to it.
pub struct Runner<'a> {
    shared: &'a Shared,
    /// Only this thread has the stack for it.
    stays: PhantomData<*const ()>,
}

impl std::fmt::Debug for Runner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

impl<'a> Runner<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            stays: PhantomData,
        }
    }

    /// As [`Sandbox::run`], on this thread and at once.
    pub fn run(&self, prepared: &Prepared, spec: &RunSpec<'_>) -> Result<Run, Abstain> {
        let order = self.shared.order(prepared, spec)?;
        // The instance is dropped with the panic, so nothing half-done is seen by anybody.
        catch_unwind(AssertUnwindSafe(|| {
            self.shared.play(&prepared.0, order, spec.input)
        }))
        .unwrap_or(Err(Abstain::Panicked))
    }
}

/// What every thread needs for a run.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) seats: Seats,
    /// The transcript of a guest that has called nothing.
    untouched: [u8; 32],
}

/// A run that nothing is wrong with.
pub(crate) struct Order {
    wasi: Option<Wasi>,
    /// None if it does not even pay for the start.
    fuel: Option<i64>,
    fuel_max: Fuel,
    output_bytes_max: u32,
}

impl Shared {
    pub(crate) fn new(engine: Engine, seats: u32) -> Result<Self, SandboxError> {
        let untouched =
            Wasi::new(Environment::default()).map_err(|fault| SandboxError::Engine {
                reason: fault.to_string(),
            })?;
        Ok(Self {
            engine,
            seats: Seats::new(seats),
            untouched: untouched.transcript(),
        })
    }

    /// What a spec asks for.
    pub(crate) fn order(&self, prepared: &Prepared, spec: &RunSpec<'_>) -> Result<Order, Abstain> {
        let config = spec.config;
        if prepared.id().pages_max != pages_limit(config) || config.profile != Profile::V1 {
            return Err(Abstain::OtherConfig);
        }
        if spec.fuel_max > money::FUEL_MAX {
            return Err(Abstain::BadSpec {
                reason: "no run may use that much fuel".to_owned(),
            });
        }
        let mut wasi = None;
        if prepared.0.has_imports || !is_plain(prepared.kind(), config) {
            wasi = Some(Wasi::new(environment(
                config,
                prepared.kind(),
                spec.input,
            )?)?);
        }
        Ok(Order {
            wasi,
            fuel: fuel_at_start(spec.fuel_max.0, prepared.init_cost()),
            fuel_max: spec.fuel_max,
            output_bytes_max: config.profile.output_bytes_max,
        })
    }

    pub(crate) fn play(&self, linked: &Linked, order: Order, input: &[u8]) -> Result<Run, Abstain> {
        let Some(fuel) = order.fuel else {
            return Ok(Run {
                outcome: unstarted(order.fuel_max),
                output: Vec::new(),
                log: Vec::new(),
                transcript: self.untouched,
            });
        };
        let guest = Guest::new(order.wasi, linked.store_limits());
        let store = Store::try_new(&self.engine, guest).map_err(|error| Abstain::Engine {
            reason: format!("{error:#}"),
        })?;
        let mut machine = Machine::new(linked, store, fuel)?;
        let result = machine.play(input, order.output_bytes_max);
        let (rest, log, transcript) = machine.finish(self.untouched);
        let (outcome, output) = outcome(order.fuel_max, result, rest)?;
        Ok(Run {
            outcome,
            output,
            log,
            transcript,
        })
    }
}
