//! One job's memory: what was ordered, who was hired, what they answered.

use haar_records::eip712::{miners_hash, receipts_hash};
use haar_records::wire::AttemptEnd;
use haar_records::{
    Address, B256, ExecutionReceipt, JobId, JobLeaf, MinerId, OutcomeKey, Signature, Snm,
};

use super::view::{AttemptState, RevealView};
use crate::config::HubConfig;
use crate::input::{Order, Time, Timer};
use crate::output::{Answer, Output};

/// Where a job is, with what only that phase knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Collecting,
    /// Until when reveals are waited for.
    Revealing {
        due: Time,
    },
    /// What was agreed and is not here yet.
    Fetching {
        agreed: OutcomeKey,
    },
    Settled,
    Refunded,
}

#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) order: Order,
    pub(crate) phase: Phase,
    pub(crate) round: u32,
    /// Miners that this round should have.
    pub(crate) wanted: u32,
    /// In the order of hiring; an attempt's number is its place.
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) ordered_at: Time,
    /// Place in the queue of jobs that want miners.
    pub(crate) sequence: u64,
    /// Until when the job waits for somebody to join, once it has to.
    pub(crate) patience: Option<Time>,
    /// When this round's slow ones may be replaced, once somebody has sealed.
    pub(crate) stragglers: Option<Time>,
    /// How long the slow ones get each time.
    pub(crate) window_ms: u64,
    pub(crate) ended_at: Option<Time>,
    pub(crate) answer: Option<Answer>,
    pub(crate) epoch: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) miner: MinerId,
    pub(crate) owner: Address,
    pub(crate) number: u32,
    pub(crate) round: u32,
    pub(crate) state: AttemptState,
    pub(crate) hired_at: Time,
    /// When the seal has to be there.
    pub(crate) lease: Time,
    /// When the miner has to have done its next step; the lease or earlier.
    pub(crate) due: Time,
    pub(crate) seal: Option<(B256, Signature)>,
    pub(crate) reveal: Option<RevealView>,
    /// It signed for an output that it could not deliver.
    pub(crate) is_withheld: bool,
    pub(crate) earned: Snm,
}

impl Attempt {
    /// The next attempt of a job; its times are set by the offer.
    pub(crate) fn new(miner: MinerId, owner: Address, job: &Job, now: Time) -> Self {
        Self {
            miner,
            owner,
            number: job.attempts.len() as u32,
            round: job.round,
            state: AttemptState::Offered,
            hired_at: now,
            lease: now,
            due: now,
            seal: None,
            reveal: None,
            is_withheld: false,
            earned: Snm::ZERO,
        }
    }

    /// Hired, and neither sealed nor over.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state, AttemptState::Offered | AttemptState::Accepted)
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.state == AttemptState::Sealed
    }

    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.state, AttemptState::Ended(_))
    }

    /// The answer, while it counts.
    pub(crate) fn answer(&self) -> Option<OutcomeKey> {
        let counts = self.state == AttemptState::Revealed;
        self.reveal
            .filter(|_| counts)
            .map(|reveal| reveal.outcome.key())
    }
}

impl Job {
    pub(crate) fn new(order: Order, now: Time, sequence: u64) -> Self {
        let wanted = u32::from(order.attempts);
        Self {
            order,
            phase: Phase::Collecting,
            round: 0,
            wanted,
            attempts: Vec::with_capacity(wanted as usize),
            ordered_at: now,
            sequence,
            patience: None,
            stragglers: None,
            window_ms: 0,
            ended_at: None,
            answer: None,
            epoch: None,
        }
    }

    pub(crate) fn id(&self) -> JobId {
        self.order.job
    }

    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Settled | Phase::Refunded)
    }

    pub(crate) fn place_of(&self, miner: &MinerId) -> Option<usize> {
        self.attempts
            .iter()
            .position(|attempt| attempt.miner == *miner)
    }

    /// This round's attempts that run or have sealed.
    pub(crate) fn round_active(&self) -> u32 {
        let counts = |attempt: &&Attempt| {
            attempt.round == self.round && (attempt.is_running() || attempt.is_sealed())
        };
        self.attempts.iter().filter(counts).count() as u32
    }

    pub(crate) fn is_running(&self) -> bool {
        self.attempts.iter().any(Attempt::is_running)
    }

    /// This round's seals, by miner.
    pub(crate) fn seals(&self) -> Vec<(MinerId, B256)> {
        let round = self
            .attempts
            .iter()
            .filter(|attempt| attempt.round == self.round);
        let mut seals: Vec<_> = round
            .filter(|attempt| !attempt.is_running())
            .filter_map(|attempt| Some((attempt.miner, attempt.seal?.0)))
            .collect();
        seals.sort_unstable();
        seals
    }

    /// Miners of this round whose reveal is still to come.
    pub(crate) fn unrevealed(&self) -> Vec<MinerId> {
        let sealed = self.attempts.iter().filter(|attempt| attempt.is_sealed());
        let mut miners: Vec<_> = sealed.map(|attempt| attempt.miner).collect();
        miners.sort_unstable();
        miners
    }

    /// All answers that count, of all rounds.
    pub(crate) fn answers(&self) -> Vec<OutcomeKey> {
        self.attempts.iter().filter_map(Attempt::answer).collect()
    }

    /// Attempts that bought an answer or a seal: what `ATTEMPTS_MAX` bounds.
    pub(crate) fn answers_bought(&self) -> u32 {
        self.attempts
            .iter()
            .filter(|attempt| attempt.seal.is_some())
            .count() as u32
    }

    /// Places of those who answered `key`, sorted by miner.
    pub(crate) fn agreeing(&self, key: &OutcomeKey) -> Vec<usize> {
        let agrees = |place: &usize| self.attempts[*place].answer().as_ref() == Some(key);
        let mut places: Vec<usize> = (0..self.attempts.len()).filter(agrees).collect();
        places.sort_unstable_by_key(|place| self.attempts[*place].miner);
        places
    }

    /// Gives the slow ones of this round some time from now on.
    pub(crate) fn open_window(&mut self, now: Time) -> Output {
        let at = now.after_ms(self.window_ms);
        self.stragglers = Some(at);
        Output::SetTimer {
            at,
            timer: Timer::Stragglers {
                job: self.id(),
                round: self.round,
            },
        }
    }

    pub(crate) fn ends_of(&self, end: AttemptEnd) -> Vec<MinerId> {
        let ended = AttemptState::Ended(end);
        let attempts = self
            .attempts
            .iter()
            .filter(|attempt| attempt.state == ended);
        let mut miners: Vec<_> = attempts.map(|attempt| attempt.miner).collect();
        miners.sort_unstable();
        miners
    }

    /// `receiptsHash` over the receipts of these places, which are sorted by miner.
    pub(crate) fn receipts_hash(&self, config: &HubConfig, places: &[usize]) -> B256 {
        let digests: Vec<B256> = places
            .iter()
            .filter_map(|place| self.receipt(config, &self.attempts[*place]))
            .map(|receipt| config.domain.digest(&receipt))
            .collect();
        receipts_hash(&digests)
    }

    /// The leaf under which a settled job stands in its batch.
    pub(crate) fn leaf(&self) -> Option<JobLeaf> {
        let Some(Answer::Agreed {
            outcome,
            charged,
            agreeing,
            receipts_hash,
            ..
        }) = &self.answer
        else {
            return None;
        };
        Some(JobLeaf {
            jobId: self.order.job.0,
            specHash: self.order.spec.0,
            buyer: self.order.buyer.0,
            channelId: self.order.channel,
            resultHash: outcome.result_hash(),
            fuelUsed: outcome.fuel_used.0,
            charged: charged.0,
            minersHash: miners_hash(agreeing, *receipts_hash),
        })
    }

    fn receipt(&self, config: &HubConfig, attempt: &Attempt) -> Option<ExecutionReceipt> {
        let RevealView {
            outcome,
            executed_at,
            ..
        } = attempt.reveal?;
        Some(ExecutionReceipt {
            jobId: self.order.job.0,
            specHash: self.order.spec.0,
            miner: attempt.miner.0,
            hubWallet: config.hub.0,
            resultHash: outcome.result_hash(),
            fuelUsed: outcome.fuel_used.0,
            status: outcome.status.code(),
            executedAt: executed_at,
        })
    }
}
