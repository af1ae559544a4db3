//! Markdown to an HTML fragment that is safe to show, whoever wrote it.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// A rendered text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The words of the first heading, if there is one; not escaped.
    pub title: Option<String>,
    /// The text as HTML.
    pub html: String,
}

/// Renders a text as GitHub would, without its HTML.
pub fn render(markdown: &str) -> Rendered {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES;
    let mut title = Title::Awaited;
    let events = Parser::new_ext(markdown, options)
        .map(disarm)
        .inspect(|event| title.see(event));

    let mut html = String::with_capacity(markdown.len() + markdown.len() / 2);
    html::push_html(&mut html, events);
    Rendered {
        title: title.into_text(),
        html,
    }
}

/// Takes from an event what could act in the reader's browser.
fn disarm(event: Event<'_>) -> Event<'_> {
    match event {
        // Text is escaped on output, HTML is not.
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        Event::Start(Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }) => Event::Start(Tag::Link {
            link_type,
            dest_url: harmless(dest_url),
            title,
            id,
        }),
        Event::Start(Tag::Image {
            link_type,
            dest_url,
            title,
            id,
        }) => Event::Start(Tag::Image {
            link_type,
            dest_url: harmless(dest_url),
            title,
            id,
        }),
        other => other,
    }
}

/// Keeps an address without a scheme, or with one that cannot run code; else `#`.
fn harmless(address: CowStr<'_>) -> CowStr<'_> {
    const SCHEMES: [&str; 3] = ["http", "https", "mailto"];

    // Browsers skip blanks and control characters: `java\tscript:` is a scheme to them.
    let seen: String = address
        .chars()
        .filter(|c| !c.is_control() && !c.is_whitespace())
        .collect();
    let before_path = seen.split(['/', '?', '#']).next().unwrap_or_default();
    match before_path.split_once(':') {
        None => address,
        Some((scheme, _)) if SCHEMES.iter().any(|kind| scheme.eq_ignore_ascii_case(kind)) => {
            address
        }
        Some(_) => CowStr::Borrowed("#"),
    }
}

/// Collects the words of the first heading as they pass.
enum Title {
    Awaited,
    Collecting(String),
    Done(String),
}

impl Title {
    fn see(&mut self, event: &Event<'_>) {
        match (&mut *self, event) {
            (Self::Awaited, Event::Start(Tag::Heading { .. })) => {
                *self = Self::Collecting(String::new());
            }
            (Self::Collecting(words), Event::Text(text) | Event::Code(text)) => {
                words.push_str(text);
            }
            (Self::Collecting(words), Event::End(TagEnd::Heading(_))) => {
                *self = Self::Done(std::mem::take(words));
            }
            _ => {}
        }
    }

    fn into_text(self) -> Option<String> {
        match self {
            Self::Done(words) if !words.trim().is_empty() => Some(words),
            _ => None,
        }
    }
}
