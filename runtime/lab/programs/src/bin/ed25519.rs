//! Signs and verifies (crate ed25519-dalek): 64-bit multiplications with carries.
use ed25519_dalek::{Signer, SigningKey, Verifier};
use lab_programs::{Random, fold, report, scale};

fn main() {
    let seed = Random::new().bytes(32);
    let key = SigningKey::from_bytes(seed.as_slice().try_into().unwrap());
    let mut sum = 0;
    for round in 0..scale(800) {
        let signature = key.sign(&round.to_le_bytes());
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
