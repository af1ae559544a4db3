//! What must be true of a hub's messages before anything is done about them. No IO, no state.

use haar_records::eip712::seals_hash;
use haar_records::wire::{INLINE_BYTES_MAX, Offer, PROVIDERS_MAX, Payload, SEALS_MAX, SealEntry};
use haar_records::{
    Address, B256, Domain, HubId, JobId, MinerCredit, MinerId, Profile, SealSet, Signed, money,
};

use crate::fault::HubFault;

/// The largest input of a job.
pub(crate) const INPUT_BYTES_MAX: u64 = 10 << 20;
/// The largest module: what the metering pass admits.
pub(crate) const MODULE_BYTES_MAX: u64 = 32 << 20;

/// Who is who in every message of one hub to one miner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parties {
    pub(crate) miner: MinerId,
    pub(crate) hub: HubId,
    pub(crate) operator: Address,
    pub(crate) domain: Domain,
}

impl Parties {
    /// Fails unless an offer is the operator's word to us, says what it means, and is within limits.
    pub(crate) fn check_offer(&self, offer: &Offer) -> Result<(), HubFault> {
        offer
            .assignment
            .check(&self.domain, self.operator)
            .map_err(HubFault::Assignment)?;
        let (assignment, spec) = (&offer.assignment.record, &offer.spec);
        if assignment.miner != self.miner.0 {
            return Err(HubFault::Mismatch("miner"));
        }
        if assignment.hubWallet != self.hub.0 {
            return Err(HubFault::Mismatch("hub"));
        }
        if assignment.specHash != spec.hash().0 {
            return Err(HubFault::Mismatch("spec"));
        }

        if spec.config.profile != Profile::V1 {
            return Err(HubFault::Profile);
        }
        if !spec.config.is_within_limits() {
            return Err(HubFault::Mismatch("configuration"));
        }
        at_most("units of fuel", spec.fuel_max.0, money::FUEL_MAX.0)?;
        at_most("bytes of module", offer.module_bytes, MODULE_BYTES_MAX)?;
        at_most("bytes of input", offer.input.len(), INPUT_BYTES_MAX)?;
        if let Payload::Inline(bytes) = &offer.input {
            let bytes = bytes.len() as u64;
            at_most("bytes of inline input", bytes, INLINE_BYTES_MAX as u64)?;
        }
        let providers = offer.providers.len() as u64;
        at_most("providers", providers, PROVIDERS_MAX as u64)?;
        if offer.input.hash() != spec.input {
            return Err(HubFault::Mismatch("input"));
        }
        Ok(())
    }

    /// Fails unless a set of seals is the operator's word about this job; gives it by miner.
    pub(crate) fn check_seals(
        &self,
        job: JobId,
        signed: &Signed<SealSet>,
        seals: &[SealEntry],
    ) -> Result<Vec<(MinerId, B256)>, HubFault> {
        at_most("seals", seals.len() as u64, SEALS_MAX as u64)?;
        signed
            .check(&self.domain, self.operator)
            .map_err(HubFault::SealSet)?;
        if signed.record.jobId != job.0 {
            return Err(HubFault::Mismatch("job"));
        }
        let seals: Vec<_> = seals
            .iter()
            .map(|entry| (entry.miner, entry.seal))
            .collect();
        if signed.record.sealsHash != seals_hash(&seals) {
            return Err(HubFault::Mismatch("set of seals"));
        }
        Ok(seals)
    }

    /// Fails unless a credit is the operator's promise to us.
    pub(crate) fn check_credit(&self, credit: &Signed<MinerCredit>) -> Result<(), HubFault> {
        credit
            .check(&self.domain, self.operator)
            .map_err(HubFault::Credit)?;
        if credit.record.miner != self.miner.0 || credit.record.hubWallet != self.hub.0 {
            return Err(HubFault::Mismatch("credit"));
        }
        Ok(())
    }
}

fn at_most(what: &'static str, value: u64, max: u64) -> Result<(), HubFault> {
    if value <= max {
        return Ok(());
    }
    Err(HubFault::TooLarge { what, value, max })
}
