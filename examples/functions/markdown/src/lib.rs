//! A small web service: POST Markdown, get a page.
//!
//! `GET` explains how. What comes in is not trusted: HTML in the Markdown is shown as text, and links
//! lead only to the web and to mail.

mod page;
mod render;

use haar::{Request, Response};

/// The largest text that becomes a page.
pub const MARKDOWN_BYTES_MAX: usize = 4 << 20;

/// Answers one request.
#[haar::http]
pub fn serve(request: Request) -> Response {
    match request.method() {
        "GET" => show(page::HELP.to_owned()),
        "POST" => convert(&request),
        _ => Response::text("This function answers GET and POST.\n")
            .with_status(405)
            .with_header("allow", "GET, POST"),
    }
}

fn convert(request: &Request) -> Response {
    if request.body().len() > MARKDOWN_BYTES_MAX {
        let message = format!("The text is larger than {MARKDOWN_BYTES_MAX} bytes.\n");
        return Response::text(message).with_status(413);
    }
    match request.text() {
        Ok(markdown) => show(page::of(&render::render(markdown))),
        Err(error) => Response::text(format!("This is no Markdown: {error}.\n")).with_status(400),
    }
}

/// A page that may load pictures and nothing else, should the escaping ever fail.
fn show(html: String) -> Response {
    Response::html(html)
        .with_header(
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; img-src https: http:",
        )
        .with_header("x-content-type-options", "nosniff")
}

#[cfg(test)]
mod tests;
