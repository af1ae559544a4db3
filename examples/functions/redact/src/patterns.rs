//! The kinds of personal data: how they look, and what a second look at a candidate checks.

/// A kind of personal data.
pub struct Kind {
    /// What stands in its place.
    pub name: &'static str,
    /// How it looks: ASCII, and with few ways to begin inside of itself, or the automaton of all
    /// kinds would have millions of states.
    pub pattern: &'static str,
    /// Whether what looks like it is it: check digits tell cards from order numbers.
    pub is_right: fn(&str) -> bool,
}

/// All kinds; where two begin at one place, the earlier one counts.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "email",
        pattern: r"(?-u)\b[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b",
        is_right: |_| true,
    },
    Kind {
        name: "key",
        pattern: r"(?-u)\b0x[0-9a-fA-F]{64}\b",
        is_right: |_| true,
    },
    Kind {
        name: "iban",
        pattern: r"(?-u)\b[A-Z]{2}[0-9]{2}(?:[0-9A-Z]{11,30}|(?: [0-9A-Z]{4}){2,7} [0-9A-Z]{1,4})\b",
        is_right: has_right_iban_digits,
    },
    Kind {
        name: "card",
        pattern: r"(?-u)\b(?:[0-9]{13,19}|(?:[0-9]{4}[ -]){3}[0-9]{1,7})\b",
        is_right: has_right_card_digits,
    },
    Kind {
        name: "ip",
        pattern: r"(?-u)\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b",
        is_right: |text| text.split('.').all(|part| part.parse::<u8>().is_ok()),
    },
    Kind {
        name: "phone",
        pattern: r"(?-u)\+[1-9](?:[ ()./-]{0,2}[0-9]){6,14}\b",
        is_right: |_| true,
    },
];

/// Luhn's check: double every second digit from the right, and the sum ends in 0.
fn has_right_card_digits(text: &str) -> bool {
    let digits = text.bytes().rev().filter(u8::is_ascii_digit);
    let sum: u32 = digits
        .enumerate()
        .map(
            |(place, digit)| match (place % 2, u32::from(digit - b'0')) {
                (0, digit) => digit,
                (_, digit) => digit * 2 / 10 + digit * 2 % 10,
            },
        )
        .sum();
    sum.is_multiple_of(10)
}

/// ISO 13616: the first four characters go to the end, letters count from 10, the rest by 97 is 1.
fn has_right_iban_digits(text: &str) -> bool {
    let signs: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let (head, tail) = signs.split_at(4.min(signs.len()));
    let rest = tail.iter().chain(head).fold(0, |rest, sign| {
        let value = (*sign as char).to_digit(36).unwrap_or(0);
        let shift = if value < 10 { 10 } else { 100 };
        (rest * shift + value) % 97
    });
    rest == 1
}
