//! What a buyer gets from an honest fog.

use haar_records::BlobHash;
use reqwest::Method;
use serde_json::json;

use crate::buyer::Answer;
use crate::fog::shared;

/// Every header by which an answer can be checked.
#[track_caller]
fn check_headers(answer: &Answer) {
    let job = answer.header("haar-job");
    assert_eq!((job.len(), &job[..2]), (66, "0x"), "{job}");
    assert_eq!(answer.header("haar-receipt"), format!("/v1/receipts/{job}"));
    assert!(answer.header("haar-fuel-used").parse::<u64>().unwrap() > 20_000);
    assert_eq!(answer.header("haar-exit-code"), "0");
    assert_eq!(answer.header("haar-verified"), "quorum=2/2");
    assert!(answer.header("haar-charged").ends_with(" SNM"));
    assert!(answer.header("haar-receipt-signature").len() > 120);
}

#[tokio::test]
async fn wordcount_counts_a_file_of_the_project_like_wc() {
    let fog = shared().await;
    let text = include_bytes!("../../../protocol/README.md");
    let answer = fog.buyer.call("wordcount", text).await;

    let lines = text.iter().filter(|&&byte| byte == b'\n').count();
    let words = String::from_utf8_lossy(text)
        .split_ascii_whitespace()
        .count();
    let output = String::from_utf8(answer.output().to_vec()).unwrap();
    let first: Vec<usize> = output
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    assert_eq!(first, [lines, words, text.len()]);
    check_headers(&answer);
    assert_eq!(
        answer.header("haar-output"),
        BlobHash::of(&answer.body).to_string()
    );
}

#[tokio::test]
async fn markdown_is_answered_as_a_page_over_http() {
    let fog = shared().await;
    let request = fog.buyer.request(Method::POST, "/f/markdown/");
    let answer = fog
        .buyer
        .send(request.body("# Fog\n\n*thick*\n\n<script>x</script>\n"))
        .await;
    let page = String::from_utf8(answer.output().to_vec()).unwrap();
    assert!(
        page.contains("<h1>Fog</h1>") && page.contains("<em>thick</em>"),
        "{page}"
    );
    assert!(!page.contains("<script>"), "{page}");
    assert!(answer.header("content-type").starts_with("text/html"));
    check_headers(&answer);

    let help = fog
        .buyer
        .send(fog.buyer.request(Method::GET, "/f/markdown/"))
        .await;
    assert!(help.header("content-type").starts_with("text/html"));
    let refused = fog
        .buyer
        .send(fog.buyer.request(Method::DELETE, "/f/markdown/"))
        .await;
    assert_eq!(
        (refused.status, refused.header("allow")),
        (405, "GET, POST")
    );
}

#[tokio::test]
async fn a_tile_of_mandelbrot_has_three_bytes_for_each_pixel() {
    let fog = shared().await;
    let tile = json!({
        "width": 640, "height": 480, "x": 150, "y": 200, "tile_width": 48, "tile_height": 40,
        "center_re": -0.5, "center_im": 0.0, "scale": 3.0, "iterations": 200,
    });
    let answer = fog
        .buyer
        .call("mandelbrot", tile.to_string().as_bytes())
        .await;
    assert_eq!(answer.output().len(), 48 * 40 * 3);
    assert!(
        answer.body.iter().any(|&byte| byte != answer.body[0]),
        "one colour only"
    );
    check_headers(&answer);
}

#[tokio::test]
async fn the_same_call_twice_gives_the_same_output_and_fuel() {
    let fog = shared().await;
    let first = fog.buyer.call("wordcount", b"the haar and the sea").await;
    let second = fog.buyer.call("wordcount", b"the haar and the sea").await;
    assert_eq!(first.output(), second.output());
    for name in ["haar-output", "haar-fuel-used", "haar-charged"] {
        assert_eq!(first.header(name), second.header(name));
    }
    assert_ne!(
        first.header("haar-job"),
        second.header("haar-job"),
        "two orders are two jobs"
    );
}

#[tokio::test]
async fn the_levels_of_verification_are_kept() {
    let fog = shared().await;
    for (level, verified) in [
        ("optimistic", "optimistic"),
        ("quorum", "quorum=2/2"),
        ("strict", "quorum=3/3"),
    ] {
        let headers = [("haar-verification", level)];
        let answer = fog
            .buyer
            .call_with("wordcount", level.as_bytes(), &headers)
            .await;
        answer.output();
        assert_eq!(answer.header("haar-verified"), verified);
    }
}

#[tokio::test]
async fn an_input_too_large_for_one_frame_reaches_the_miners() {
    let fog = shared().await;
    let text = "fog and haar\n".repeat(200_000);
    let answer = fog.buyer.call("wordcount", text.as_bytes()).await;
    let output = String::from_utf8(answer.output().to_vec()).unwrap();
    let first = output
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .collect::<Vec<_>>();
    assert_eq!(first, ["200000", "600000", "2600000"]);
}
