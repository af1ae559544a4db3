//! What is computed: the profile, the run's configuration and the spec that names both.

use alloy_primitives::{B256, b256, keccak256};
use alloy_sol_types::{SolStruct, SolValue};

use crate::eip712::{JobOrder, JobSpec, RunConfigEntry};
use crate::id::{BlobHash, SpecHash};
use crate::money::{Fuel, Snm};

/// The most arguments and environment variables a job may carry, and the bytes of each list.
pub const ENTRIES_MAX: usize = 64;
/// Bytes of all arguments together.
pub const ARGS_BYTES_MAX: usize = 4 << 10;
/// Bytes of all environment variables together.
pub const ENV_BYTES_MAX: usize = 16 << 10;

/// The rules of the machine: two receipts are comparable only if their profiles are equal.
///
/// Not the engine. Every engine runs the same metered bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, minicbor::Encode, minicbor::Decode)]
pub struct Profile {
    /// Version of the metering pass.
    #[n(0)]
    pub meter: u32,
    /// Version of the cost schedule.
    #[n(1)]
    pub cost: u32,
    /// Version of the set of accepted modules.
    #[n(2)]
    pub wasm: u32,
    /// Version of the host interface that a guest sees.
    #[n(3)]
    pub wasi: u32,
    /// Deterministic depth of the stack, in bytes.
    #[n(4)]
    pub stack_limit: u32,
    /// The most pages of 64 KiB that any job of this profile may use.
    #[n(5)]
    pub pages_max: u32,
    /// Whether 128-bit SIMD is accepted.
    #[n(6)]
    pub simd: bool,
    /// The most bytes that a run may return.
    #[n(7)]
    pub output_bytes_max: u32,
    /// Hash of the prices themselves, so that a version cannot come to mean other numbers.
    #[cbor(n(8), with = "crate::cbor::word")]
    pub schedule: B256,
}

impl Profile {
    /// The profile of this release: metering.md's class `desktop`.
    pub const V1: Self = Self {
        meter: 1,
        cost: 1,
        wasm: 1,
        wasi: 1,
        stack_limit: 2 << 20,
        pages_max: 16_384,
        simd: true,
        output_bytes_max: 10 << 20,
        schedule: b256!("470603b88d2808c238e6679a48a1f32189b54da90ab6aed276f711ac014d29fe"),
    };

    /// keccak256 of the ABI-encoded fields: part of every spec.
    #[must_use]
    pub fn hash(&self) -> B256 {
        let fields = (
            (self.meter, self.cost, self.wasm, self.wasi),
            (
                self.stack_limit,
                self.pages_max,
                self.simd,
                self.output_bytes_max,
            ),
            self.schedule,
        );
        keccak256(fields.abi_encode())
    }
}

/// Everything but the module, the input and the fuel that can change an outcome.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RunConfig {
    /// The rules of the machine.
    #[n(0)]
    pub profile: Profile,
    /// Pages of 64 KiB that this run may use.
    #[n(1)]
    pub memory_pages_max: u32,
    /// Seed of all randomness that the guest sees.
    #[cbor(n(2), with = "crate::cbor::word")]
    pub seed: B256,
    /// Nanoseconds since 1970 at which the guest's virtual clock starts.
    #[n(3)]
    pub time_ns: u64,
    /// The command's arguments, the first of which is its name.
    #[n(4)]
    pub args: Vec<String>,
    /// `NAME=value`, sorted.
    #[n(5)]
    pub env: Vec<String>,
}

impl RunConfig {
    /// The defaults: no arguments but a fixed name, time zero, a seed that only names module and
    /// input, so that equal calls are equal specs.
    #[must_use]
    pub fn for_call(module: BlobHash, input: BlobHash) -> Self {
        Self {
            profile: Profile::V1,
            memory_pages_max: 2_048,
            seed: keccak256((module.0, input.0).abi_encode()),
            time_ns: 0,
            args: vec!["guest".to_owned()],
            env: Vec::new(),
        }
    }

    /// Whether every list and number is inside its limit.
    #[must_use]
    pub fn is_within_limits(&self) -> bool {
        let bytes = |list: &[String]| list.iter().map(|text| text.len() + 1).sum::<usize>();
        let clean = |list: &[String]| list.iter().all(|text| !text.contains('\0'));
        self.profile == Profile::V1
            && self.memory_pages_max <= self.profile.pages_max
            && self.args.len() <= ENTRIES_MAX
            && self.env.len() <= ENTRIES_MAX
            && bytes(&self.args) <= ARGS_BYTES_MAX
            && bytes(&self.env) <= ENV_BYTES_MAX
            && clean(&self.args)
            && clean(&self.env)
            && self.env.is_sorted()
    }

    /// `configHash` of the spec.
    #[must_use]
    pub fn hash(&self) -> B256 {
        RunConfigEntry {
            profileHash: self.profile.hash(),
            memoryPagesMax: self.memory_pages_max,
            seed: self.seed,
            time: self.time_ns,
            environmentHash: keccak256((self.args.clone(), self.env.clone()).abi_encode_params()),
        }
        .eip712_hash_struct()
    }
}

/// One module + one input + limits + seed + profile: names exactly one computation.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Spec {
    /// The module's name.
    #[n(0)]
    pub module: BlobHash,
    /// The input's name.
    #[n(1)]
    pub input: BlobHash,
    /// The most fuel that the run may use.
    #[n(2)]
    pub fuel_max: Fuel,
    /// Everything else that can change the outcome.
    #[n(3)]
    pub config: RunConfig,
}

/// Version of the guest ABI that specs name.
pub const ABI_VERSION: u32 = 1;

impl Spec {
    /// The EIP-712 hash that names this computation, on every chain.
    #[must_use]
    pub fn hash(&self) -> SpecHash {
        SpecHash(self.entry().eip712_hash_struct())
    }

    /// The form that the contracts know.
    #[must_use]
    pub fn entry(&self) -> JobSpec {
        JobSpec {
            moduleHash: self.module.0,
            inputHash: self.input.0,
            configHash: self.config.hash(),
            fuelLimit: self.fuel_max.0,
            abiVersion: ABI_VERSION,
        }
    }
}

/// The charge law: `min(maxCharge, baseFee + fuelUsed · fuelPrice)`, as the contracts compute it.
#[must_use]
pub fn charge(order: &JobOrder, fuel_used: Fuel) -> Snm {
    // A u64 times a u64 fits into a u128; only the base fee can push the sum out of it.
    let work = u128::from(fuel_used.0) * u128::from(order.fuelPrice);
    Snm(order.baseFee.saturating_add(work).min(order.maxCharge))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        let (module, input) = (BlobHash::of(b"module"), BlobHash::of(b"input"));
        Spec {
            module,
            input,
            fuel_max: Fuel(7),
            config: RunConfig::for_call(module, input),
        }
    }

    #[test]
    fn everything_that_changes_an_outcome_changes_the_spec() {
        let base = spec();
        let mut others = vec![base.clone(); 8];
        others[0].module = BlobHash::of(b"x");
        others[1].input = BlobHash::of(b"x");
        others[2].fuel_max = Fuel(8);
        others[3].config.memory_pages_max = 1;
        others[4].config.seed = B256::ZERO;
        others[5].config.time_ns = 1;
        others[6].config.args.push("x".into());
        others[7].config.profile.simd = false;
        for other in &others {
            assert_ne!(other.hash(), base.hash(), "{other:?}");
        }
    }

    #[test]
    fn an_argument_is_not_a_variable() {
        let (mut one, mut two) = (spec(), spec());
        one.config.args.push("A=1".into());
        two.config.env.push("A=1".into());
        assert_ne!(one.hash(), two.hash());
    }

    #[test]
    fn the_charge_never_passes_the_ceiling() {
        let mut order = JobOrder {
            baseFee: 10,
            fuelPrice: 2,
            maxCharge: 100,
            ..JobOrder::default()
        };
        assert_eq!(charge(&order, Fuel(5)), Snm(20));
        assert_eq!(charge(&order, Fuel(1_000)), Snm(100));
        order = JobOrder {
            baseFee: u128::MAX,
            fuelPrice: u64::MAX,
            maxCharge: u128::MAX,
            ..order
        };
        assert_eq!(charge(&order, Fuel(u64::MAX)), Snm(u128::MAX));
    }
}
