//! Runs transactions on revm, over a state that lives in memory.

use alloy::consensus::transaction::Recovered;
use alloy::consensus::{Transaction as _, TxEnvelope};
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::rpc::types::TransactionRequest;
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction};
use revm::context::{BlockEnv, TxEnv};
use revm::database::{CacheDB, EmptyDB, WrapDatabaseRef};
use revm::primitives::hardfork::SpecId;
use revm::state::{AccountInfo, EvmState};
use revm::{Context, DatabaseCommit, DatabaseRef, ExecuteEvm, MainBuilder, MainContext};

use super::block::{BASE_FEE, BLOCK_GAS, Executed};
use super::{CHAIN_ID, accounts};

/// The rules of the chain: those of Ethereum today.
const RULES: SpecId = SpecId::OSAKA;

/// The gas that one transaction may ask for (EIP-7825).
pub(super) const TRANSACTION_GAS: u64 = 1 << 24;

/// The estimate may exceed what is needed by one part in this many.
const ESTIMATE_PRECISION: u64 = 64;

/// Where and when a transaction runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) timestamp: u64,
    pub(super) randomness: B256,
}

/// A transaction that has run but is not part of the state yet.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) executed: Executed,
    changes: EvmState,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum CallFailure {
    /// The contract said no, with this data.
    Reverted(Bytes),
    /// The run was cut off, for instance by the end of its gas.
    Halted(String),
    /// It cannot run at all.
    Invalid(String),
}

/// All accounts, their code and their storage.
#[derive(Debug)]
pub(super) struct World {
    accounts: CacheDB<EmptyDB>,
}

impl World {
    /// The funded accounts and nothing else.
    pub(super) fn genesis() -> Self {
        let mut world = CacheDB::new(EmptyDB::default());
        for address in accounts::addresses() {
            let info = AccountInfo {
                balance: accounts::FUNDS,
                ..AccountInfo::default()
            };
            world.insert_account_info(address, info);
        }
        Self { accounts: world }
    }

    pub(super) fn account(&self, address: Address) -> AccountInfo {
        let Ok(found) = self.accounts.basic_ref(address);
        found.unwrap_or_default()
    }

    pub(super) fn code(&self, address: Address) -> Bytes {
        let info = self.account(address);
        let Ok(code) = self.accounts.code_by_hash_ref(info.code_hash);
        code.original_bytes()
    }

    pub(super) fn storage(&self, address: Address, slot: U256) -> B256 {
        let Ok(value) = self.accounts.storage_ref(address, slot);
        value.into()
    }

    /// Lets contracts see the hash of block `number`.
    pub(super) fn remember_block(&mut self, number: u64, hash: B256) {
        self.accounts
            .cache
            .block_hashes
            .insert(U256::from(number), hash);
    }

    /// Runs a signed transaction without changing the state.
    pub(super) fn attempt(
        &self,
        place: Place,
        signed: Recovered<TxEnvelope>,
    ) -> Result<Trial, InvalidTransaction> {
        let (result, changes) = self.run(place, BASE_FEE, environment(&signed))?;
        let executed = Executed {
            succeeded: result.is_success(),
            gas_used: result.tx_gas_used(),
            created: result.created_address(),
            logs: result.into_logs(),
            signed,
        };
        Ok(Trial { executed, changes })
    }

    /// Makes a trial part of the state.
    pub(super) fn accept(&mut self, trial: Trial) -> Executed {
        self.accounts.commit(trial.changes);
        trial.executed
    }

    /// The answer to `eth_call`.
    pub(super) fn call(
        &self,
        place: Place,
        request: &TransactionRequest,
    ) -> Result<Bytes, CallFailure> {
        let gas = request.gas.unwrap_or(TRANSACTION_GAS).min(TRANSACTION_GAS);
        self.try_with(place, request, gas).map(|(output, _)| output)
    }

    /// The least gas with which `request` succeeds, up to a small margin.
    pub(super) fn estimate(
        &self,
        place: Place,
        request: &TransactionRequest,
    ) -> Result<u64, CallFailure> {
        let mut enough = request.gas.unwrap_or(TRANSACTION_GAS).min(TRANSACTION_GAS);
        let (_, used) = self.try_with(place, request, enough)?;

        // What was used is not always enough: refunds come at the end, and a call passes on only
        // 63/64 of what is left.
        if self.try_with(place, request, used).is_ok() {
            return Ok(used);
        }
        let mut too_little = used.saturating_sub(1);
        while enough - too_little > 1 + enough / ESTIMATE_PRECISION {
            let near_the_use = used.saturating_add(used / 32);
            let middle = too_little + (enough - too_little) / 2;
            let gas = if near_the_use > too_little {
                middle.min(near_the_use)
            } else {
                middle
            };
            match self.try_with(place, request, gas) {
                Ok(_) => enough = gas,
                Err(_) => too_little = gas,
            }
        }
        Ok(enough)
    }

    fn try_with(
        &self,
        place: Place,
        request: &TransactionRequest,
        gas: u64,
    ) -> Result<(Bytes, u64), CallFailure> {
        let caller = request.from.unwrap_or_default();
        let transaction = TxEnv::builder()
            .caller(caller)
            .gas_limit(gas)
            .gas_price(0)
            .kind(request.to.unwrap_or(TxKind::Create))
            .value(request.value.unwrap_or_default())
            .data(request.input.input().cloned().unwrap_or_default())
            .nonce(self.account(caller).nonce)
            .chain_id(Some(CHAIN_ID))
            .build()
            .map_err(|error| CallFailure::Invalid(format!("{error:?}")))?;
        // A question costs nothing, so the caller needs no funds.
        let ran = self.run(place, 0, transaction);
        let (result, _) = ran.map_err(|error| CallFailure::Invalid(error.to_string()))?;

        let used = result.tx_gas_used();
        match result {
            ExecutionResult::Success { output, .. } => Ok((output.into_data(), used)),
            ExecutionResult::Revert { output, .. } => Err(CallFailure::Reverted(output)),
            ExecutionResult::Halt { reason, .. } => Err(CallFailure::Halted(format!("{reason:?}"))),
        }
    }

    fn run(
        &self,
        place: Place,
        base_fee: u64,
        transaction: TxEnv,
    ) -> Result<(ExecutionResult, EvmState), InvalidTransaction> {
        let mut evm = Context::mainnet()
            .with_db(WrapDatabaseRef(&self.accounts))
            .modify_cfg_chained(|rules| {
                rules.set_spec_and_mainnet_gas_params(RULES);
                rules.chain_id = CHAIN_ID;
            })
            .with_block(BlockEnv {
                number: U256::from(place.number),
                timestamp: U256::from(place.timestamp),
                gas_limit: BLOCK_GAS,
                basefee: base_fee,
                prevrandao: Some(place.randomness),
                ..BlockEnv::default()
            })
            .build_mainnet();
        match evm.transact(transaction) {
            Ok(done) => Ok((done.result, done.state)),
            Err(EVMError::Transaction(error)) => Err(error),
            Err(error) => Err(InvalidTransaction::Str(error.to_string().into())),
        }
    }
}

fn environment(signed: &Recovered<TxEnvelope>) -> TxEnv {
    TxEnv {
        tx_type: signed.tx_type().into(),
        caller: signed.signer(),
        gas_limit: signed.gas_limit(),
        gas_price: signed.max_fee_per_gas(),
        kind: signed.kind(),
        value: signed.value(),
        data: signed.input().clone(),
        nonce: signed.nonce(),
        chain_id: signed.chain_id(),
        access_list: signed.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: signed.max_priority_fee_per_gas(),
        ..TxEnv::default()
    }
}
