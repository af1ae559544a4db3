//! A file fits a sitting, a function fits a screen.

use super::source::code_only;
use super::{Finding, Text};

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// Reports files and Rust functions that are too long.
pub fn check(text: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = text.content.lines().count();
    if matches!(text.extension(), "rs" | "ts" | "sol") && FILE_LINES_MAX < lines {
        let advice =
            format!("{lines} lines, {FILE_LINES_MAX} at the most; split it by what it decides");
        findings.push(Finding::new(&text.path, 1, advice));
    }
    if text.extension() == "rs" {
        for Function { name, line, lines } in functions(&code_only(&text.content)) {
            if FUNCTION_LINES_MAX < lines {
                let advice = format!(
                    "`{name}` has {lines} lines, {FUNCTION_LINES_MAX} at the most; \
                     name its paragraphs and move them out"
                );
                findings.push(Finding::new(&text.path, line, advice));
            }
        }
    }
    findings
}

#[derive(Debug, PartialEq, Eq)]
struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
}

/// Finds every function that has a body, nested ones too.
fn functions(code: &str) -> Vec<Function<'_>> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut functions = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        if code[..start].ends_with(is_word) {
            continue;
        }
        let rest = &code[start + 3..];
        let name = rest
            .split(|character| !is_word(character))
            .next()
            .unwrap_or("");
        if name.is_empty() {
            continue;
        }
        if let Some(lines) = body_lines(rest) {
            let line = code[..start].matches('\n').count() + 1;
            functions.push(Function { name, line, lines });
        }
    }
    functions
}

/// Counts the lines from the name to the brace that closes the body; `None` without a body.
fn body_lines(signature: &str) -> Option<usize> {
    // A brace inside of parentheses, as in `[u8; { N }]`, does not open the body.
    let mut brackets = 0_i32;
    let mut braces = 0_i32;
    let mut lines = 1;
    for character in signature.chars() {
        match character {
            '\n' => lines += 1,
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if braces == 0 && brackets == 0 => return None,
            '{' if 0 < braces || brackets == 0 => braces += 1,
            '}' if 0 < braces => {
                braces -= 1;
                if braces == 0 {
                    return Some(lines);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, content: String) -> Text {
        Text {
            path: path.to_owned(),
            content,
        }
    }

    #[track_caller]
    fn check_functions(code: &str, expected: &[(&str, usize, usize)]) {
        let functions = functions(code);
        let found: Vec<_> = functions
            .iter()
            .map(|found| (found.name, found.line, found.lines))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_function_is_counted_from_its_name_to_its_brace() {
        check_functions(
            "fn one() {}\n\nfn four(\n) {\n  {}\n}\n",
            &[("one", 1, 1), ("four", 3, 4)],
        );
    }

    #[test]
    fn a_function_without_a_body_has_no_length() {
        check_functions(
            "trait T {\n fn f(&self) -> [u8; 4];\n}\ntype F = fn (u8);",
            &[],
        );
    }

    #[test]
    fn a_brace_in_a_signature_opens_nothing() {
        check_functions("fn f(x: [u8; { N }]) {\n}", &[("f", 1, 2)]);
    }

    #[test]
    fn nested_functions_count_too() {
        check_functions("fn f() {\n  fn g() {\n  }\n}", &[("f", 1, 4), ("g", 2, 2)]);
    }

    #[test]
    fn a_screen_is_the_limit_for_functions() {
        let of = |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2));
        assert_eq!(check(&text("a.rs", of(70))), []);
        let findings = check(&text("a.rs", of(71)));
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0].advice.starts_with("`f` has 71 lines"),
            "{findings:?}"
        );
    }

    #[test]
    fn a_sitting_is_the_limit_for_sources_only() {
        assert_eq!(check(&text("a.sol", "\n".repeat(800))), []);
        assert_eq!(check(&text("a.sol", "\n".repeat(801))).len(), 1);
        assert_eq!(check(&text("a.json", "\n".repeat(801))), []);
    }
}
