//! A hub, as buyers, authors and miners' owners see it over HTTP.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use haar_records::wire::Provider;
use haar_records::{
    Address, BlobHash, Domain, EndpointId, Fuel, HubId, JobOrder, Signed, SignedFunction,
};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long a call may take, its answer included.
const CALL_TIMEOUT: Duration = Duration::from_secs(150);

/// What a hub says about itself.
#[derive(Debug, Clone, Deserialize)]
pub struct HubFacts {
    /// The wallet.
    pub hub: String,
    /// Who signs its receipts.
    pub operator: Address,
    /// The chain's id; 0 in a private cluster.
    pub chain_id: u64,
    /// The settlement contract.
    pub settlement: Address,
    /// Its key in the swarm.
    pub endpoint: String,
    /// Where it listens for miners.
    pub addresses: Vec<String>,
    /// Which life of its process answers.
    pub life: u64,
    /// For every answer, in atoms.
    pub base_fee_atoms: String,
    /// For every unit of fuel, in atoms.
    pub fuel_price_atoms: u64,
}

impl HubFacts {
    /// The hub's wallet.
    pub fn hub(&self) -> Result<HubId> {
        self.hub.parse().context("the hub's wallet address")
    }

    /// Where its signatures count.
    pub fn domain(&self) -> Domain {
        Domain {
            chain_id: self.chain_id,
            settlement: self.settlement,
        }
    }

    /// Where the swarm finds it.
    pub fn provider(&self) -> Result<Provider> {
        let endpoint: EndpointId = self.endpoint.parse().context("the hub's endpoint id")?;
        Ok(Provider {
            endpoint,
            addresses: self.addresses.clone(),
        })
    }
}

/// What a call asks for besides its input.
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    /// The most fuel.
    pub fuel_max: Option<Fuel>,
    /// `optimistic`, `quorum` or `strict`.
    pub verification: Option<String>,
    /// The buyer's name for the call.
    pub key: Option<String>,
    /// The buyer's signed order.
    pub order: Option<Signed<JobOrder>>,
}

/// What a call gave.
#[derive(Debug, Clone)]
pub struct Called {
    /// The output.
    pub output: Vec<u8>,
    /// The job.
    pub job: String,
    /// Fuel that it used.
    pub fuel_used: Fuel,
    /// How it was verified.
    pub verified: String,
    /// What it cost.
    pub charged: String,
    /// The function's exit code.
    pub exit_code: u32,
}

/// A hub's address and a connection to it.
#[derive(Debug, Clone)]
pub struct HubClient {
    base: String,
    http: reqwest::Client,
}

impl HubClient {
    /// A client of the hub at this URL.
    pub fn new(url: &str) -> Result<Self> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            bail!("'{url}' is not a hub's URL: write it like http://127.0.0.1:8080");
        }
        let http = reqwest::Client::builder()
            .timeout(CALL_TIMEOUT)
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            http,
        })
    }

    /// The hub's URL.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// What the hub says about itself.
    pub async fn facts(&self) -> Result<HubFacts> {
        serde_json::from_value(self.get("/v1/hub").await?).context("the hub's own description")
    }

    /// Any resource in JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let response = self.send(self.http.get(self.at(path))).await?;
        response
            .json()
            .await
            .with_context(|| format!("{path} is not JSON"))
    }

    /// Any resource as bytes.
    pub async fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        let response = self.send(self.http.get(self.at(path))).await?;
        Ok(response
            .bytes()
            .await
            .with_context(|| format!("{path} broke off"))?
            .to_vec())
    }

    /// A blob; its hash is checked.
    pub async fn blob(&self, hash: BlobHash) -> Result<Vec<u8>> {
        let bytes = self.get_bytes(&format!("/v1/blobs/{hash}")).await?;
        if BlobHash::of(&bytes) != hash {
            bail!("the hub sent other bytes than blob {hash}");
        }
        Ok(bytes)
    }

    /// Gives the hub a blob.
    pub async fn put_blob(&self, bytes: Vec<u8>) -> Result<BlobHash> {
        let hash = BlobHash::of(&bytes);
        self.send(
            self.http
                .put(self.at(&format!("/v1/blobs/{hash}")))
                .body(bytes),
        )
        .await?;
        Ok(hash)
    }

    /// Publishes a function.
    pub async fn publish(&self, signed: &SignedFunction) -> Result<Value> {
        let record = &signed.record;
        let body = json!({
            "name": record.function.name(),
            "version": record.function.version(),
            "module": record.module.to_string(),
            "module_bytes": record.module_bytes,
            "author": record.author,
            "signature": signed.signature.to_string(),
        });
        let response = self
            .send(
                self.http
                    .post(self.at("/v1/functions"))
                    .body(body.to_string()),
            )
            .await?;
        response
            .json()
            .await
            .context("the hub's answer to a publication")
    }

    /// Calls a function.
    pub async fn call(
        &self,
        function: &str,
        input: Vec<u8>,
        options: &CallOptions,
    ) -> Result<Called> {
        let mut request = self
            .http
            .post(self.at(&format!("/v1/call/{function}")))
            .body(input);
        if let Some(fuel) = options.fuel_max {
            request = request.header("haar-fuel-max", fuel.0.to_string());
        }
        if let Some(level) = &options.verification {
            request = request.header("haar-verification", level);
        }
        if let Some(key) = &options.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(order) = &options.order {
            let bytes = haar_records::wire::encode(order);
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            request = request.header("haar-order", hex);
        }
        called(self.send(request).await?).await
    }

    /// Asks the hub, as its operator, to settle now.
    pub async fn settle(&self, token: &str) -> Result<Value> {
        let request = self.http.post(self.at("/v1/settle")).bearer_auth(token);
        self.send(request)
            .await?
            .json()
            .await
            .context("the hub's answer to a settlement")
    }

    /// Any request below the hub's URL, for functions that speak HTTP.
    pub async fn post(&self, path: &str, kind: &str, body: Vec<u8>) -> Result<Called> {
        let request = self
            .http
            .post(self.at(path))
            .header("content-type", kind)
            .body(body);
        called(self.send(request).await?).await
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| {
            anyhow!(error.without_url()).context(format!("cannot reach the hub at {}", self.base))
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(problem(response).await)
    }
}

async fn called(response: Response) -> Result<Called> {
    let header = |name: &str| -> Result<String> {
        let value = response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok());
        Ok(value
            .with_context(|| format!("the hub's answer has no {name}"))?
            .to_owned())
    };
    let fuel = header("haar-fuel-used")?
        .parse()
        .context("the hub's Haar-Fuel-Used")?;
    let exit_code = header("haar-exit-code")?
        .parse()
        .context("the hub's Haar-Exit-Code")?;
    let (job, verified) = (header("haar-job")?, header("haar-verified")?);
    let charged = header("haar-charged")?;
    let output = response
        .bytes()
        .await
        .context("the output broke off")?
        .to_vec();
    Ok(Called {
        output,
        job,
        fuel_used: Fuel(fuel),
        verified,
        charged,
        exit_code,
    })
}

/// A hub's refusal as a sentence.
async fn problem(response: Response) -> anyhow::Error {
    let status: StatusCode = response.status();
    let body: Value = response.json().await.unwrap_or(Value::Null);
    let Some(code) = body["code"].as_str() else {
        return anyhow!("the hub answered {status}");
    };
    let detail = body["detail"].as_str().unwrap_or_default();
    let next = body["next"].as_str().unwrap_or_default();
    anyhow!("{detail} [{code}, {}]; {next}", status.as_u16())
}
