//! The money on a chain: deposits, settlements, and a hub that dies amid them.

use std::path::PathBuf;

use haar_bindings::deploy::{Contracts, Deployment};
use haar_bindings::{Chain, Sender, dev, hub, miner, pay, settle, snm};
use haar_records::{B256, BuyerId, HubId, Keypair, MinerId, Snm};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::fog::{Fog, HONEST, write_key};
use crate::process::{Process, haar, run, until};

/// The challenge window of the usual rules, and a minute.
const WINDOW_SECONDS: u64 = 24 * 60 * 60 + 60;
/// What a buyer of its own deposits.
const DEPOSIT: &str = "0.3 SNM";

/// A chain in a process of its own, with a hub, a house and miners that have their stakes.
struct Town {
    contracts: Contracts,
    wallet: HubId,
    fog: Fog,
    buyer: Keypair,
    /// Where the buyer's key lies.
    buyer_key: PathBuf,
    _chain: Process,
}

impl Town {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let deployment = dir.path().join("deployment.json");
        let mut command = haar();
        command.args(["--json", "chain", "--listen", "127.0.0.1:0", "--log"]);
        command
            .arg(dir.path().join("chain.log"))
            .arg("--deployment")
            .arg(&deployment);
        let mut process = Process::start("chain", command);
        let ready = process.event("ready").await;
        let url = ready["url"].as_str().unwrap();

        let chain = Chain::connect(url).await.unwrap();
        let contracts = Contracts::open(&chain, Deployment::load(&deployment).unwrap())
            .await
            .unwrap();
        let account = |index| dev::account(index).unwrap();
        let (operator, buyer) = (account(1), account(6));
        let wallet = found_hub(&contracts, &operator).await;
        deposit(&contracts, &operator, wallet, Snm::whole(10)).await;
        deposit(&contracts, &buyer, wallet, DEPOSIT.parse().unwrap()).await;
        let miners: Vec<Keypair> = (2..5).map(account).collect();
        for key in &miners {
            give(&contracts, key, Snm::whole(100)).await;
            let (sender, address) = (Sender::new(&chain, key), key.address());
            miner::join(&contracts, &sender, Snm::whole(100), address, address)
                .await
                .unwrap();
        }

        let key = write_key(&dir.path().join("operator"), &operator);
        let buyer_key = write_key(&dir.path().join("buyer"), &buyer);
        let arguments = [
            "--chain",
            url,
            "--deployment",
            deployment.to_str().unwrap(),
            "--wallet",
            &wallet.to_string(),
            "--key",
            key.to_str().unwrap(),
        ]
        .map(str::to_owned);
        let fog = Fog::start_with(dir, &arguments, &[HONEST; 3], miners).await;
        fog.publish_example("wordcount").await;
        until("the deposit's arrival", || async {
            let ledger = fog.buyer.get("/v1/ledger").await;
            (ledger["house"]["deposited"] == "10 SNM").then_some(())
        })
        .await;
        Self {
            contracts,
            wallet,
            fog,
            buyer,
            buyer_key,
            _chain: process,
        }
    }

    /// A few calls that the house pays for.
    async fn call(&self, texts: std::ops::Range<u32>) {
        for number in texts {
            self.fog
                .buyer
                .call("wordcount", format!("text {number}").as_bytes())
                .await
                .output();
        }
    }

    /// A day passes: nobody challenges.
    async fn pass(&self) {
        self.contracts
            .chain()
            .time_travel(WINDOW_SECONDS)
            .await
            .unwrap();
    }

    /// The operator settles; `None` if the hub dies over it.
    async fn settle(&self) -> Option<Value> {
        let request = self.fog.buyer.request(Method::POST, "/v1/settle");
        let answer = self
            .fog
            .buyer
            .try_send(request.bearer_auth(self.fog.hub.token()))
            .await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Some(answer.json())
    }

    /// The operator settles, and the hub is killed when it says this.
    async fn settle_and_die(&mut self, event: &str) {
        let request = self.fog.buyer.request(Method::POST, "/v1/settle");
        let request = request.bearer_auth(self.fog.hub.token());
        let buyer = self.fog.buyer.clone();
        let settling = tokio::spawn(async move { buyer.try_send(request).await });
        self.fog.hub.logged(event).await;
        self.fog.hub.restart().await;
        settling.await.unwrap();
    }

    /// What each miner has earned by the hub's books.
    async fn earned(&self) -> Vec<Snm> {
        let known = self.fog.miners_by_id().await;
        let earned = |miner: &crate::fog::Miner| -> Snm {
            known[&miner.id]["earned"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap()
        };
        self.fog.miners.iter().map(earned).collect()
    }

    /// What each miner has been paid by the chain's books; its account must say the same.
    async fn paid(&self) -> Vec<Snm> {
        let mut sums = Vec::new();
        for miner in &self.fog.miners {
            let id = MinerId(miner.key.address());
            let paid = settle::paid(&self.contracts, self.wallet, id)
                .await
                .unwrap();
            let balance = snm::balance(&self.contracts, miner.key.address())
                .await
                .unwrap();
            assert_eq!(paid, balance, "a miner has what it was paid, once");
            sums.push(paid);
        }
        sums
    }
}

async fn give(contracts: &Contracts, key: &Keypair, amount: Snm) {
    let rich = Sender::new(contracts.chain(), &dev::account(0).unwrap());
    snm::transfer(contracts, &rich, key.address(), amount)
        .await
        .unwrap();
}

async fn found_hub(contracts: &Contracts, operator: &Keypair) -> HubId {
    let stake = Snm::whole(100_000);
    give(contracts, operator, stake).await;
    let sender = Sender::new(contracts.chain(), operator);
    let address = operator.address();
    hub::create_and_register(contracts, &sender, address, B256::ZERO, stake)
        .await
        .unwrap()
}

async fn deposit(contracts: &Contracts, key: &Keypair, wallet: HubId, amount: Snm) {
    give(contracts, key, amount).await;
    let sender = Sender::new(contracts.chain(), key);
    pay::deposit_to_hub(contracts, &sender, wallet, amount)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_hub_killed_amid_its_settlements_pays_every_miner_exactly_once() {
    let mut town = Town::start().await;
    town.call(0..4).await;
    let nothing = vec![Snm::ZERO; 3];

    town.settle_and_die("haar::batch::committed").await;
    let settled = town.settle().await.unwrap();
    assert_eq!(
        (&settled["batch"], town.paid().await),
        (&Value::Null, nothing.clone())
    );
    let earned = town.earned().await;
    assert!(Snm::ZERO < earned.iter().copied().sum());

    town.pass().await;
    town.settle_and_die("haar::batch::finalized").await;
    town.settle().await.unwrap();
    assert_eq!(town.paid().await, earned);

    town.fog.everybody_is_here().await;
    town.call(4..7).await;
    let request = town.fog.buyer.request(Method::POST, "/v1/settle");
    let request = request.bearer_auth(town.fog.hub.token());
    let buyer = town.fog.buyer.clone();
    let settling = tokio::spawn(async move { buyer.try_send(request).await });
    town.fog.hub.restart().await;
    settling.await.unwrap();
    town.settle().await.unwrap();
    assert_eq!(
        town.paid().await,
        earned,
        "the second batch can still be challenged"
    );
    town.pass().await;
    for _ in 0..3 {
        town.settle().await.unwrap();
    }
    let earned = town.earned().await;
    assert_eq!(town.paid().await, earned);

    let ledger = town.fog.buyer.get("/v1/ledger").await;
    assert_eq!(
        ledger["miners_earned"],
        earned.into_iter().sum::<Snm>().to_string()
    );
    assert_eq!(
        (&ledger["jobs_unsettled"], &ledger["books_add_up"]),
        (&0.into(), &true.into())
    );
    let state = hub::state(&town.contracts, town.wallet)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(state.frozen, Snm::whole(100_000), "the stake pays nobody");
}

#[tokio::test]
async fn a_buyer_with_a_deposit_pays_its_own_signed_orders() {
    let town = Town::start().await;
    let input = town.fog.dir.path().join("input");
    std::fs::write(&input, "my own money").unwrap();
    let call = |more: &'static [&'static str]| {
        let mut command = haar();
        command.args([
            "call",
            "wordcount",
            "--json",
            "--hub",
            &town.fog.hub.url,
            "--key",
        ]);
        command.arg(&town.buyer_key).arg(&input).args(more);
        run(command)
    };
    let ended = call(&[]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let called: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let job = town
        .fog
        .buyer
        .get(&format!("/v1/jobs/{}", called["job"].as_str().unwrap()))
        .await;
    assert_eq!(job["buyer"], BuyerId(town.buyer.address()).to_string());
    let ledger = town.fog.buyer.get("/v1/ledger").await;
    assert_eq!(ledger["house"]["spent"], "0 SNM");

    // More than the rest could cost is not begun; the account has lost nothing but the first charge.
    let ended = call(&["--fuel-max", "400000000000"]).await;
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.contains("[insufficient-funds, 402]"),
        "{}",
        ended.stderr
    );
    let charged: Snm = called["charged"].as_str().unwrap().parse().unwrap();
    let rest = Snm(DEPOSIT.parse::<Snm>().unwrap().0 - charged.0);
    assert!(
        ended.stderr.contains(&rest.to_string()),
        "{rest} in {}",
        ended.stderr
    );
}
