//! Signs and verifies on secp256k1 (crate k256), as receipts are.
use k256::ecdsa::signature::{Signer, Verifier};
use k256::ecdsa::{Signature, SigningKey};
use lab_programs::{Random, fold, report, scale};

fn main() {
    let key = SigningKey::from_slice(&Random::new().bytes(32)).unwrap();
    let mut sum = 0;
    for round in 0..scale(160) {
        let signature: Signature = key.sign(&round.to_le_bytes());
        key.verifying_key()
            .verify(&round.to_le_bytes(), &signature)
            .unwrap();
        sum = signature
            .to_bytes()
            .iter()
            .fold(sum, |sum, &byte| fold(sum, byte.into()));
    }
    report(sum);
}
