//! The hub's front page: what it is, what can be called, and how.

use http::{HeaderValue, header};

use super::{Answer, full};
use crate::shared::Shared;

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Haar hub</title>
<style>
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-weight: 600; } h2 { margin-top: 2rem; font-size: 1.1rem; }
pre { border: 1px solid var(--line); border-radius: 6px; padding: .75rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
td, th { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); }
code { font-size: .9em; white-space: nowrap; }
</style></head><body>
<h1>Haar</h1>
<p>This hub runs functions on miners that nobody has to trust: several run each call, and only an
answer on which they agree is delivered and paid.</p>
"#;

/// `GET /`.
pub fn home(shared: &Shared) -> Answer {
    let mut page = HEAD.to_owned();
    functions(&mut page, shared);
    miners(&mut page, shared);
    page.push_str(
        "<h2>More</h2><p><a href=\"/v1/functions\">functions</a> · <a href=\"/v1/miners\">miners</a> \
         · <a href=\"/v1/ledger\">ledger</a> · <a href=\"/v1/hub\">this hub</a> · \
         <a href=\"/metrics\">metrics</a></p></body></html>\n",
    );
    let mut answer = Answer::new(full(page));
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    answer
}

/// Names are made of a-z, 0-9 and hyphens, so nothing here needs escaping.
fn functions(page: &mut String, shared: &Shared) {
    page.push_str("<h2>Functions</h2>");
    let latest = shared.functions.latest();
    let Some(first) = latest.first() else {
        page.push_str("<p>None yet. Publish one with <code>haar publish</code>.</p>");
        return;
    };
    page.push_str("<table><tr><th>Name</th><th>Kind</th><th>Module</th></tr>");
    for published in &latest {
        let record = &published.signed.record;
        page.push_str(&format!(
            "<tr><td><code>{}</code></td><td>{}</td><td><code title=\"{}\">{}…</code></td></tr>",
            record.function,
            published.kind,
            record.module,
            record.module.short()
        ));
    }
    page.push_str(&format!(
        "</table><pre>curl --data-binary @FILE http://{}/v1/call/{} -i</pre>",
        shared.http,
        first.signed.record.function.name()
    ));
}

fn miners(page: &mut String, shared: &Shared) {
    page.push_str(
        "<h2>Miners</h2><table><tr><th>Miner</th><th>State</th><th>Record</th><th>Earned</th></tr>",
    );
    let rows: Vec<String> = shared.core.look(|machine| {
        let row = |miner: haar_protocol::hub::MinerView| {
            let state = match (miner.is_dismissed, miner.is_present) {
                (true, _) => "dismissed",
                (false, true) => "here",
                (false, false) => "away",
            };
            format!(
                "<tr><td><code title=\"{}\">{}…</code></td><td>{state}</td><td>{}</td><td>{}</td></tr>",
                miner.miner,
                miner.miner.short(),
                miner.record,
                miner.cumulative
            )
        };
        machine.miners().take(200).map(row).collect()
    });
    page.extend(rows);
    page.push_str("</table>");
}
