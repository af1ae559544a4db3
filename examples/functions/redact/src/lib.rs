//! Takes personal data out of a text: addresses, numbers of cards and accounts, keys.
//!
//! What is found is replaced by its kind, `[email]` for instance; everything else stays byte for
//! byte. All kinds are searched for at once by one automaton. Building it costs a hundred times
//! what using it on a page costs, so `#[haar::init]` builds it before the module is published.

mod patterns;

use std::sync::OnceLock;

use regex_automata::dfa::regex::Regex;

/// The automaton of all kinds. Empty until somebody needs it.
static FINDER: OnceLock<Regex> = OnceLock::new();

/// Builds the automaton, once and for all calls.
#[haar::init]
pub fn warm() {
    finder();
}

/// Replaces personal data by its kind.
#[haar::function]
pub fn redact(text: String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut kept_to = 0;
    for found in finder().find_iter(&text) {
        let kind = &patterns::KINDS[found.pattern().as_usize()];
        if !(kind.is_right)(&text[found.range()]) {
            continue;
        }
        out.push_str(&text[kept_to..found.start()]);
        out.push('[');
        out.push_str(kind.name);
        out.push(']');
        kept_to = found.end();
    }
    out.push_str(&text[kept_to..]);
    out
}

/// The automaton. Where nobody has built it yet, as in a module that was published without its
/// initialisation, it is built now and the answer is the same.
fn finder() -> &'static Regex {
    FINDER.get_or_init(|| {
        let patterns: Vec<&str> = patterns::KINDS.iter().map(|kind| kind.pattern).collect();
        Regex::new_many(&patterns).expect("constant patterns")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(redact(text.to_owned()), expected);
    }

    #[test]
    fn personal_data_is_replaced_by_its_kind() {
        check("Write to ada@example.org.", "Write to [email].");
        check("from 192.168.0.17 to", "from [ip] to");
        check("card 4111 1111 1111 1111, thanks", "card [card], thanks");
        check("DE89 3704 0044 0532 0130 00 is it", "[iban] is it");
        check("call +44 20 7946 0958 now", "call [phone] now");
        check(
            "key 0x4c0883a69102937d6231471b5dbb6204fe512961708279f1c0ab1b2f2c3d4e5f",
            "key [key]",
        );
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        check(
            "version 1.2.3.4567 and 300.1.1.1",
            "version 1.2.3.4567 and 300.1.1.1",
        );
        check("order 4111 1111 1111 1112", "order 4111 1111 1111 1112");
        check("a@b, 12:30, 2026-11-26", "a@b, 12:30, 2026-11-26");
    }

    #[test]
    fn everything_else_stays_byte_for_byte() {
        check("", "");
        check(
            "Fähre über den Æther\r\n\0 end",
            "Fähre über den Æther\r\n\0 end",
        );
    }

    #[test]
    fn several_in_one_text_are_all_found() {
        check("a@b.io, c@d.io; 10.0.0.1", "[email], [email]; [ip]");
    }

    #[test]
    fn initialising_first_changes_no_answer() {
        warm();
        check("a@b.io", "[email]");
    }
}
