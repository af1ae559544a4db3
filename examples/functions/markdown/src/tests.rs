//! What a reader gets, and what an attacker does not.
#![allow(clippy::unwrap_used)]

use super::*;

/// The part of the answer that was rendered from `markdown`.
fn body_of(markdown: &str) -> String {
    let response = serve(Request::new("POST", "/").with_body(markdown));
    assert_eq!(response.status_code(), 200);
    let page = String::from_utf8(response.body().to_vec()).unwrap();
    let (_, main) = page.split_once("<main>\n").unwrap();
    main.strip_suffix("</main>\n").unwrap().to_owned()
}

#[track_caller]
fn check(markdown: &str, expected: &str) {
    assert_eq!(body_of(markdown), expected);
}

#[track_caller]
fn check_title(markdown: &str, expected: &str) {
    let response = serve(Request::new("POST", "/").with_body(markdown));
    let page = String::from_utf8(response.body().to_vec()).unwrap();
    assert!(
        page.contains(&format!("<title>{expected}</title>")),
        "{page}"
    );
}

#[test]
fn markdown_becomes_html() {
    check(
        "# Haar\n\nA *sea* fog.\n",
        "<h1>Haar</h1>\n<p>A <em>sea</em> fog.</p>\n",
    );
    check(
        "|a|b|\n|-|-|\n|1|~~2~~|\n",
        "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody>\n\
         <tr><td>1</td><td><del>2</del></td></tr>\n</tbody></table>\n",
    );
    check("", "");
}

#[test]
fn html_is_shown_and_not_obeyed() {
    check(
        "<script>alert(1)</script>\n",
        "&lt;script&gt;alert(1)&lt;/script&gt;\n",
    );
    check(
        "a <b onclick=x>c</b>",
        "<p>a &lt;b onclick=x&gt;c&lt;/b&gt;</p>\n",
    );
    check(
        "<div\nonmouseover=alert(1)>\n\n*b*",
        "&lt;div\nonmouseover=alert(1)&gt;\n<p><em>b</em></p>\n",
    );
}

#[test]
fn links_lead_to_the_web_and_to_mail_only() {
    for kept in [
        "https://a.b/c:d",
        "HTTP://a.b",
        "mailto:a@b.c",
        "/x:y",
        "?a:b",
        "#c:d",
        "page.html",
    ] {
        check(
            &format!("[a](<{kept}>)"),
            &format!("<p><a href=\"{kept}\">a</a></p>\n"),
        );
    }
    for removed in [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\tscript:alert(1)",
        "&#1;javascript:alert(1)",
        "javascript&colon;alert(1)",
        "java&Tab;script:alert(1)",
        "java&NewLine;script:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:/etc/passwd",
        ":x",
    ] {
        check(&format!("[a](<{removed}>)"), "<p><a href=\"#\">a</a></p>\n");
        check(
            &format!("![a](<{removed}>)"),
            "<p><img src=\"#\" alt=\"a\" /></p>\n",
        );
    }
    check(
        "<javascript:alert(1)>",
        "<p><a href=\"#\">javascript:alert(1)</a></p>\n",
    );
}

#[test]
fn what_stands_in_an_attribute_cannot_leave_it() {
    check(
        "[a](/b\"c 'd\"e')\n\n```x\"y\nz\n```",
        "<p><a href=\"/b%22c\" title=\"d&quot;e\">a</a></p>\n\
         <pre><code class=\"language-x&quot;y\">z\n</code></pre>\n",
    );
}

#[test]
fn the_first_heading_is_the_title() {
    check_title(
        "text\n\n## The `fog` & *sea*\n\n# Later",
        "The fog &amp; sea",
    );
    check_title("# </title><script>", "&lt;/title&gt;&lt;script&gt;");
    check_title("no heading", "Untitled");
    check_title("# ", "Untitled");
}

#[test]
fn a_get_explains_itself() {
    let response = serve(Request::new("GET", "/"));
    assert_eq!(response.status_code(), 200);
    assert!(response.body().starts_with(b"<!doctype html>"));
    assert!(String::from_utf8_lossy(response.body()).contains("curl --data-binary"));
}

#[test]
fn a_page_may_not_run_scripts() {
    for request in [
        Request::new("GET", "/"),
        Request::new("POST", "/").with_body("a"),
    ] {
        let response = serve(request);
        let policy = response.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';"));
        assert!(!policy.contains("script-src"));
    }
}

#[test]
fn what_cannot_be_answered_says_why() {
    let status = |request| serve(request).status_code();
    assert_eq!(status(Request::new("DELETE", "/")), 405);
    assert_eq!(status(Request::new("POST", "/").with_body(*b"\xff")), 400);
    let huge = vec![b'a'; MARKDOWN_BYTES_MAX + 1];
    assert_eq!(status(Request::new("POST", "/").with_body(huge)), 413);
}

/// Parsers of this kind have been quadratic in depth, or recursive.
#[test]
fn deep_nesting_ends() {
    for open in [">", "[", "*a ", "- ", "![a](", "`", "<!--", "[^1]: ", "|"] {
        serve(Request::new("POST", "/").with_body(open.repeat(20_000)));
    }
}
