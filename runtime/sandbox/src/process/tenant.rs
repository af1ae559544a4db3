//! Whom a runner serves.

/// A party whose jobs may share a runner, one after the other. Two tenants never do.
///
/// What stands for a buyer is the caller's to say; see `README.md` for what a miner knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tenant([u8; 32]);

impl Tenant {
    /// The tenant that these facts name together.
    #[must_use]
    pub fn of(facts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("haar sandbox 1 tenant");
        for fact in facts {
            hasher.update(&(fact.len() as u64).to_le_bytes());
            hasher.update(fact);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [first, second, third, fourth, ..] = self.0;
        write!(f, "{first:02x}{second:02x}{third:02x}{fourth:02x}")
    }
}
