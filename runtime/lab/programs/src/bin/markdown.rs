//! Renders Markdown to HTML (crate pulldown-cmark).
use lab_programs::{fold, report, scale, text};
use pulldown_cmark::{Options, Parser, html};

fn main() {
    let mut source = String::new();
    for (at, line) in text(60_000).lines().enumerate() {
        match at % 6 {
            0 => source += &format!("\n## {line}\n\n"),
            1 => source += &format!("- *{line}* and `code {at}`\n"),
            2 => source += &format!("- [a link](http://fog/{at}) {line}\n\n"),
            3 => source += &format!("| a | b |\n|---|---|\n| {line} | **{at}** |\n\n"),
            _ => source += &format!("{line} <b>&amp;</b>\n"),
        }
    }
    let mut sum = 0;
    for _ in 0..scale(170) {
        let mut page = String::new();
        html::push_html(&mut page, Parser::new_ext(&source, Options::all()));
        sum = fold(
            sum,
            page.len() as u64 + u64::from(page.as_bytes()[page.len() / 3]),
        );
    }
    report(sum);
}
