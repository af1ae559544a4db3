//! The page around a rendered text. Its style follows the reader's choice of dark or light.

use crate::render::Rendered;

/// What a reader gets who asks without a text.
pub const HELP: &str = concat!(
    include_str!("page/head.html"),
    "<title>Markdown to HTML</title>\n",
    include_str!("page/help.html"),
);

const HEAD: &str = include_str!("page/head.html");

/// The whole page of a text.
pub fn of(text: &Rendered) -> String {
    let title = escape(text.title.as_deref().unwrap_or("Untitled"));
    let body = &text.html;
    format!("{HEAD}<title>{title}</title>\n<main>\n{body}</main>\n")
}

/// Makes a text safe between tags.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
