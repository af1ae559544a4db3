//! The parties of the tests: a deployed system with people in it.

use haar_bindings::settle::Claim;
use haar_bindings::{Chain, Contracts, DevChain, Genesis, Sender, deploy_all, dev, snm};
use haar_records::tree::{JobTree, PayTree};
use haar_records::{
    B256, BatchHeader, BuyerId, HubId, HubReceipt, JobLeaf, Keypair, MinerId, Snm, keccak256,
};

/// The time at which every test chain begins, in seconds since 1970.
pub const START: u64 = 1_800_000_000;

pub const DAY: u64 = 86_400;

/// A chain whose clock stands still, but for the second that every block takes.
pub fn still_chain() -> DevChain {
    DevChain::new(|| START)
}

/// Everything that a story needs.
pub struct Fog {
    pub contracts: Contracts,
    /// Deployed the contracts and holds the SNM: the DAO's voter.
    pub holder: Sender,
    pub owner: Sender,
    pub buyer: Sender,
    pub miners: Vec<Sender>,
    pub stranger: Sender,
    /// Signs for the hub; it never sends anything.
    pub operator: Keypair,
}

pub fn key(index: usize) -> Keypair {
    dev::account(index).unwrap()
}

impl Fog {
    /// Deploys the contracts and gives everybody some SNM.
    pub async fn new(chain: &Chain) -> Self {
        let sender = |index| Sender::new(chain, &key(index));
        let holder = sender(0);
        let genesis = Genesis::usual(holder.address());
        let contracts = deploy_all(&holder, &genesis).await.unwrap();
        let fog = Self {
            contracts,
            holder,
            owner: sender(1),
            buyer: sender(2),
            miners: vec![sender(3), sender(4), sender(5)],
            stranger: sender(6),
            operator: key(7),
        };
        fog.give(&fog.owner, Snm::whole(50_000)).await;
        fog.give(&fog.buyer, Snm::whole(1_000)).await;
        for miner in &fog.miners {
            fog.give(miner, Snm::whole(100)).await;
        }
        fog
    }

    pub fn chain(&self) -> &Chain {
        self.contracts.chain()
    }

    pub async fn give(&self, to: &Sender, amount: Snm) {
        snm::transfer(&self.contracts, &self.holder, to.address(), amount)
            .await
            .unwrap();
    }

    pub async fn balance(&self, of: &Sender) -> Snm {
        snm::balance(&self.contracts, of.address()).await.unwrap()
    }

    pub fn miner(&self, index: usize) -> MinerId {
        MinerId(self.miners[index].address())
    }

    pub fn buyer_id(&self) -> BuyerId {
        BuyerId(self.buyer.address())
    }
}

/// A job that the hub settled at this price.
pub fn leaf(buyer: BuyerId, number: u8, charged: Snm) -> JobLeaf {
    JobLeaf {
        jobId: B256::repeat_byte(number),
        specHash: keccak256([number, 1]),
        buyer: buyer.0,
        channelId: B256::ZERO,
        resultHash: keccak256([number, 2]),
        fuelUsed: 1_000 + u64::from(number),
        charged: charged.0,
        minersHash: keccak256([number, 3]),
    }
}

/// A batch over these jobs and earnings.
pub struct Batch {
    pub header: BatchHeader,
    pub leaves: Vec<JobLeaf>,
    pub jobs: JobTree,
    pub pay: PayTree,
    pub earnings: Vec<(MinerId, Snm)>,
}

impl Batch {
    pub fn new(
        hub: HubId,
        epoch: u64,
        prev: B256,
        leaves: Vec<JobLeaf>,
        earnings: Vec<(MinerId, Snm)>,
    ) -> Self {
        let jobs = JobTree::new(leaves.iter().map(JobLeaf::leaf_hash).collect());
        let pay = PayTree::new(&earnings);
        let header = BatchHeader {
            hubWallet: hub.0,
            epoch,
            prevBatch: prev,
            jobsRoot: jobs.root(),
            payRoot: pay.root(),
            daHash: keccak256("the batch file"),
            jobs: u32::try_from(leaves.len()).unwrap(),
            totalCharged: leaves.iter().map(|leaf| leaf.charged).sum(),
            minerTotalCum: earnings.iter().map(|(_, sum)| sum.0).sum(),
        };
        Self {
            header,
            leaves,
            jobs,
            pay,
            earnings,
        }
    }

    pub fn claims(&self) -> Vec<Claim> {
        let claims = self.earnings.iter().map(|(miner, cumulative)| Claim {
            miner: *miner,
            cumulative: *cumulative,
            proof: self.pay.proof(*miner, *cumulative).unwrap(),
        });
        claims.collect()
    }
}

/// What the hub signs for the buyer about a settled job.
pub fn receipt(hub: HubId, leaf: &JobLeaf) -> HubReceipt {
    HubReceipt {
        jobId: leaf.jobId,
        specHash: leaf.specHash,
        buyer: leaf.buyer,
        hubWallet: hub.0,
        resultHash: leaf.resultHash,
        fuelUsed: leaf.fuelUsed,
        charged: leaf.charged,
        receiptsHash: keccak256("receipts"),
        paymentRef: B256::ZERO,
        completedAt: START,
    }
}
