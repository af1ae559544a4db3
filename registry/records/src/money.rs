//! Amounts: SNM for money, fuel for work. Raw integers stay at the edges.

use std::fmt;
use std::str::FromStr;

/// Atomic units in one SNM (18 decimals, as ERC-20 tokens have by custom).
pub const ATOMS_PER_SNM: u128 = 1_000_000_000_000_000_000;

/// An amount of SNM, in atomic units. Shown and read in SNM.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
)]
pub struct Snm(#[cbor(n(0), with = "atoms")] pub u128);

/// The deterministic count of work: one unit is about one simple integer operation.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
)]
#[cbor(transparent)]
pub struct Fuel(#[n(0)] pub u64);

/// The most fuel that one job may ask for. Below 2^48 no sum of charges overflows.
pub const FUEL_MAX: Fuel = Fuel(1 << 48);

impl Snm {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Whole tokens.
    #[must_use]
    pub const fn whole(tokens: u64) -> Self {
        Self(tokens as u128 * ATOMS_PER_SNM)
    }

    /// The sum, or `None` where it would not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` where it would be below zero.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The difference, or nothing where it would be below zero.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for Snm {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.map(|amount| amount.0).sum())
    }
}

impl fmt::Display for Snm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0 / ATOMS_PER_SNM;
        let fraction = format!("{:018}", self.0 % ATOMS_PER_SNM);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{whole} SNM"),
            digits => write!(f, "{whole}.{digits} SNM"),
        }
    }
}

/// Text that is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an amount of SNM: write it like 12.5, with at most 18 decimals")]
pub struct ParseSnmError;

impl FromStr for Snm {
    type Err = ParseSnmError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let number = text.strip_suffix("SNM").unwrap_or(text).trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 18 {
            return Err(ParseSnmError);
        }

        let whole: u128 = whole.parse().map_err(|_| ParseSnmError)?;
        let atoms: u128 = format!("{fraction:0<18}")
            .parse()
            .map_err(|_| ParseSnmError)?;
        let total = whole
            .checked_mul(ATOMS_PER_SNM)
            .and_then(|sum| sum.checked_add(atoms));
        total.map(Self).ok_or(ParseSnmError)
    }
}

impl fmt::Display for Fuel {
    /// Groups of three digits, since fuel counts run into billions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// CBOR has no 128-bit integer; sixteen big-endian bytes are its exact form here.
mod atoms {
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};

    pub(super) fn encode<C, W: Write>(
        value: &u128,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&value.to_be_bytes())?.ok()
    }

    pub(super) fn decode<'b, C>(
        d: &mut Decoder<'b>,
        _: &mut C,
    ) -> Result<u128, minicbor::decode::Error> {
        let bytes = <[u8; 16]>::try_from(d.bytes()?)
            .map_err(|_| minicbor::decode::Error::message("an amount has 16 bytes"))?;
        Ok(u128::from_be_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, atoms: Option<u128>) {
        assert_eq!(text.parse::<Snm>().ok(), atoms.map(Snm), "{text}");
    }

    #[test]
    fn amounts_are_read_in_snm() {
        check("1", Some(ATOMS_PER_SNM));
        check("0.5 SNM", Some(ATOMS_PER_SNM / 2));
        check("0.000000000000000001", Some(1));
        check("1.0000000000000000001", None);
        check("-1", None);
        check("", None);
        check(".5", None);
        check("340282366920938463463374607431768211456", None);
    }

    #[test]
    fn amounts_are_shown_in_snm() {
        assert_eq!(Snm(1).to_string(), "0.000000000000000001 SNM");
        assert_eq!(Snm::whole(12).to_string(), "12 SNM");
        assert_eq!(Snm(ATOMS_PER_SNM * 3 / 2).to_string(), "1.5 SNM");
    }

    #[test]
    fn fuel_is_grouped() {
        assert_eq!(Fuel(1_234_567).to_string(), "1,234,567");
        assert_eq!(Fuel(12).to_string(), "12");
    }
}
