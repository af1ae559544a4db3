//! Draws the overhead of all programs as bars, as an SVG without scripts or outside fonts.

use std::fmt::Write;

use super::table::{Report, Row};

const LEFT: f64 = 110.0;
const WIDTH: f64 = 860.0;
const RIGHT: f64 = 60.0;
const TOP: f64 = 74.0;
const ROW: f64 = 26.0;
const BAR: f64 = 7.0;
/// Longer bars are cut, with their number beside them.
const PERCENT_MAX: f64 = 60.0;
const PERCENT_MIN: f64 = -10.0;

const SERIES: [(&str, &str); 3] = [
    ("wasmtime, its own fuel", "#b8c0c8"),
    ("wasmtime, metered by Haar", "#1f6f8b"),
    ("V8, metered by Haar", "#e08e45"),
];

/// The picture: programs from the dearest to the cheapest.
pub fn draw(report: &Report) -> String {
    let mut rows: Vec<&Row> = report.rows.iter().filter(|row| row.is_program).collect();
    rows.sort_by(|a, b| b.ours().total_cmp(&a.ours()));
    let height = TOP + ROW * rows.len() as f64 + 34.0;
    let bottom = TOP + ROW * rows.len() as f64;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
         <title>What metering costs: added run time of each program in percent</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"16\" fill=\"#222\">What metering costs: added run time in percent</text>\n"
    );
    legend(&mut svg);
    for percent in (-10..=60).step_by(10) {
        let x = place(f64::from(percent));
        let colour = if percent == 0 { "#666" } else { "#ddd" };
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {TOP}V{bottom:.1}\" stroke=\"{colour}\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{percent}</text>",
            bottom + 16.0
        );
    }
    for (index, row) in rows.iter().enumerate() {
        let y = TOP + ROW * index as f64;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#222\">{}</text>",
            LEFT - 8.0,
            y + 16.0,
            row.name
        );
        let ratios = [Some(row.fuel()), Some(row.ours()), row.v8()];
        for (at, (ratio, (_, colour))) in ratios.into_iter().zip(SERIES).enumerate() {
            if let Some(ratio) = ratio {
                bar(
                    &mut svg,
                    y + 2.0 + BAR * at as f64,
                    (ratio - 1.0) * 100.0,
                    colour,
                );
            }
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String) {
    for (index, (name, colour)) in SERIES.iter().enumerate() {
        let x = 12.0 + 210.0 * index as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"38\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{}\" y=\"48\" fill=\"#222\">{name}</text>",
            x + 18.0
        );
    }
}

fn bar(svg: &mut String, y: f64, percent: f64, colour: &str) {
    let shown = percent.clamp(PERCENT_MIN, PERCENT_MAX);
    let (from, to) = (place(shown.min(0.0)), place(shown.max(0.0)));
    let width = (to - from).max(0.5);
    let _ = writeln!(
        svg,
        "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
        BAR - 1.0
    );
    if shown < percent {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"9\" fill=\"#222\">{percent:.0}</text>",
            to + 3.0,
            y + 6.5
        );
    }
}

/// Where a percentage stands on the page.
fn place(percent: f64) -> f64 {
    let span = WIDTH - LEFT - RIGHT;
    LEFT + span * (percent - PERCENT_MIN) / (PERCENT_MAX - PERCENT_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::anatomy::Anatomy;

    #[test]
    fn a_bar_beyond_the_edge_is_cut_and_named() {
        let report = Report {
            v8: None,
            runs: 1,
            rows: vec![Row {
                name: "sieve".to_owned(),
                is_program: true,
                run_ns: [100, 250, 103],
                compile_ns: [1; 3],
                v8_ns: None,
                plain: Anatomy::default(),
                metered: Anatomy::default(),
            }],
        };
        let svg = draw(&report);
        assert!(svg.contains(">150</text>"), "{svg}");
        assert!(!svg.contains(">3</text>"), "{svg}");
    }
}
