//! Messages that an honest party would send, to begin from.

use haar_records::wire::{
    AttemptEnd, Hello, Offer, Payload, Provider, Reveal, SealEntry, ToHub, ToMiner, Welcome, encode,
};
use haar_records::{
    Address, Assignment, B256, BlobHash, Domain, EndpointId, Fuel, FunctionName, FunctionRecord,
    HubId, Keypair, MinerBinding, MinerCredit, MinerId, Outcome, RunConfig, SealSet, Spec, Status,
    TrapKind,
};

/// One of each kind, encoded.
pub fn messages() -> Vec<Vec<u8>> {
    let key = Keypair::from_bytes([3; 32]).expect("a number below the order");
    let domain = Domain {
        chain_id: 31_337,
        settlement: Address::repeat_byte(9),
    };
    let signature = key.sign(B256::repeat_byte(1));
    let mut all = vec![
        encode(&hello(&key, &domain)),
        encode(&Welcome::Joined {
            hub: HubId(Address::repeat_byte(1)),
            operator: Address::repeat_byte(2),
            domain,
        }),
        encode(&Welcome::Refused {
            reason: "full".to_owned(),
        }),
        encode(&ToMiner::Offer(Box::new(offer(&key, &domain)))),
        encode(&ToMiner::RevealRequest {
            seal_set: key.sign_record(&domain, SealSet::default()),
            seals: vec![SealEntry {
                miner: MinerId(Address::repeat_byte(4)),
                seal: B256::repeat_byte(5),
            }],
        }),
        encode(&ToMiner::Closed {
            end: AttemptEnd::Agreed,
            credit: Some(key.sign_record(&domain, MinerCredit::default())),
        }),
        encode(&ToHub::Accepted),
        encode(&ToHub::Declined {
            reason: "busy".to_owned(),
        }),
        encode(&ToHub::Sealed {
            seal: B256::repeat_byte(6),
            signature,
        }),
        encode(&ToHub::Abstained {
            reason: "no memory".to_owned(),
        }),
    ];
    all.push(encode(&ToHub::Revealed(Reveal {
        outcome: Outcome {
            status: Status::Trapped,
            exit_code: 0,
            output: BlobHash::of(b""),
            output_bytes: 0,
            fuel_used: Fuel(1 << 40),
            trap: Some(TrapKind::Bounds),
        },
        salt: B256::repeat_byte(7),
        executed_at: 1_700_000_000,
        signature,
        output: Payload::Inline(b"answer".to_vec()),
    })));
    all.push(encode(&function(&key)));
    all
}

fn hello(key: &Keypair, domain: &Domain) -> Hello {
    Hello {
        binding: key.sign_record(domain, MinerBinding::default()),
        owner: key.address(),
        capacity: 2,
        software: "haar 0.1.0".to_owned(),
        addresses: vec!["192.0.2.1:4000".to_owned()],
    }
}

fn offer(key: &Keypair, domain: &Domain) -> Offer {
    let (module, input) = (BlobHash::of(b"module"), BlobHash::of(b"input"));
    Offer {
        assignment: key.sign_record(domain, Assignment::default()),
        spec: Spec {
            module,
            input,
            fuel_max: Fuel(1_000_000_000),
            config: RunConfig::for_call(module, input),
        },
        module_bytes: 6,
        input: Payload::Blob(input, 5),
        providers: vec![Provider {
            endpoint: EndpointId([8; 32].into()),
            addresses: vec!["[2001:db8::1]:9".to_owned()],
        }],
        lease_ms: 30_000,
    }
}

fn function(key: &Keypair) -> haar_records::SignedFunction {
    FunctionRecord {
        function: FunctionName::new("markdown", "1.2.3").expect("a name"),
        module: BlobHash::of(b"module"),
        module_bytes: 6,
        author: key.address(),
    }
    .sign(key)
}
