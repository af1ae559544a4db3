//! Reads Rust just well enough to tell code from comments and literals.

use std::iter::Peekable;
use std::str::Chars;

/// The same lines with comments and the insides of literals left out.
pub fn code_only(source: &str) -> String {
    let mut reader = Reader {
        rest: source.chars().peekable(),
        code: String::with_capacity(source.len()),
    };
    reader.read();
    reader.code
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    code: String,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(character) = self.rest.next() {
            match character {
                '/' if self.rest.peek() == Some(&'/') => self.skip_line(),
                '/' if self.rest.peek() == Some(&'*') => self.skip_block(),
                '"' => self.skip_string(),
                'r' if !self.in_word() && self.starts_raw() => self.skip_raw(),
                'b' | 'c' if !self.in_word() && self.rest.peek() == Some(&'r') => {
                    self.code.push(character);
                    self.rest.next();
                    if self.starts_raw() {
                        self.skip_raw();
                    } else {
                        self.code.push('r');
                    }
                }
                '\'' => self.skip_character(),
                _ => self.code.push(character),
            }
        }
    }

    /// Whether the last character belongs to a word that goes on.
    fn in_word(&self) -> bool {
        self.code
            .ends_with(|last: char| last.is_alphanumeric() || last == '_')
    }

    fn skip_line(&mut self) {
        while self.rest.next_if(|&character| character != '\n').is_some() {}
    }

    fn skip_block(&mut self) {
        let mut depth = 0_u32;
        let mut previous = '/';
        while let Some(character) = self.rest.next() {
            self.keep_newline(character);
            // A character that closed or opened one comment cannot take part in the next.
            previous = match (previous, character) {
                ('/', '*') => {
                    depth += 1;
                    ' '
                }
                ('*', '/') => {
                    depth -= 1;
                    ' '
                }
                _ => character,
            };
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        self.code.push('"');
        while let Some(character) = self.rest.next() {
            self.keep_newline(character);
            match character {
                '"' => break,
                '\\' => {
                    if let Some(escaped) = self.rest.next() {
                        self.keep_newline(escaped);
                    }
                }
                _ => {}
            }
        }
        self.code.push('"');
    }

    /// Whether an `r` begins a raw string and not a raw identifier such as `r#type`.
    fn starts_raw(&self) -> bool {
        self.rest.clone().find(|&character| character != '#') == Some('"')
    }

    fn skip_raw(&mut self) {
        let mut hashes = 0;
        while self.rest.next_if_eq(&'#').is_some() {
            hashes += 1;
        }
        self.rest.next();
        self.code.push('"');
        while let Some(character) = self.rest.next() {
            self.keep_newline(character);
            let closes = character == '"'
                && self.rest.clone().take_while(|&next| next == '#').count() >= hashes;
            if closes {
                self.rest.by_ref().take(hashes).for_each(drop);
                break;
            }
        }
        self.code.push('"');
    }

    /// Skips a character literal; a lifetime stays.
    fn skip_character(&mut self) {
        let mut ahead = self.rest.clone();
        let first = ahead.next();
        if first != Some('\\') && ahead.next() != Some('\'') {
            self.code.push('\'');
            return;
        }

        self.rest.next();
        if first == Some('\\') {
            self.rest.next();
        }
        while self.rest.next().is_some_and(|character| character != '\'') {}
        self.code.push_str("''");
    }

    fn keep_newline(&mut self, character: char) {
        if character == '\n' {
            self.code.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &str) {
        assert_eq!(code_only(source), expected);
    }

    #[test]
    fn comments_disappear_and_lines_stay() {
        check("a // { \nb", "a \nb");
        check("a /* { /* } */ \n*/ b", "a \n b");
        check("/**/a /*/ { */ b", "a  b");
        check("/// a doc {\nfn f() {}", "\nfn f() {}");
    }

    #[test]
    fn strings_become_empty() {
        check(r#"f("{ \" // }", b"{")"#, r#"f("", b"")"#);
        check("\"one\\\n two\" }", "\"\n\" }");
    }

    #[test]
    fn raw_strings_end_at_their_own_hashes() {
        check(r###"r#"a " { "# }"###, r#""" }"#);
        check(r###"br##"a "# "## }"###, r#"b"" }"#);
        check(r#"r"\" }"#, r#""" }"#);
    }

    #[test]
    fn raw_identifiers_are_code() {
        check("r#type + bring + for_r", "r#type + bring + for_r");
        check("br + cry", "br + cry");
    }

    #[test]
    fn characters_are_literals_and_lifetimes_are_not() {
        check("'{' + '\\'' + '\\u{7b}' + b'}'", "'' + '' + '' + b''");
        check(
            "fn f<'a>(x: &'a str) -> &'static str {}",
            "fn f<'a>(x: &'a str) -> &'static str {}",
        );
    }
}
