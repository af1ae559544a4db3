//! The buyers' act: real inputs, three functions, one liar.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use console::style;
use haar_records::{BlobHash, FunctionName, FunctionRecord};
use serde_json::{Value, json};

use super::fog::Fog;
use super::story::{Story, amount};
use crate::client::{CallOptions, Called, HubClient};
use crate::picture::Picture;
use crate::{batch, keys, out, replay};

/// The example functions, and the version under which the demo publishes them.
const FUNCTIONS: [&str; 3] = ["wordcount", "markdown", "mandelbrot"];
const VERSION: &str = "1.0.0";

/// Texts of the project itself: real input, wherever the binary runs.
const TEXTS: [(&str, &[u8]); 6] = [
    (
        "LICENSE-APACHE",
        include_bytes!("../../../../LICENSE-APACHE"),
    ),
    ("README.md", include_bytes!("../../../../README.md")),
    (
        "ARCHITECTURE.md",
        include_bytes!("../../../../ARCHITECTURE.md"),
    ),
    (
        "runtime/meter/SPEC.md",
        include_bytes!("../../../../runtime/meter/SPEC.md"),
    ),
    ("Cargo.lock", include_bytes!("../../../../Cargo.lock")),
    ("this very source file", include_bytes!("calls.rs")),
];

/// The picture, and the tiles that it is rendered in.
const WIDTH: usize = 960;
const HEIGHT: usize = 640;
const TILE: usize = 160;

/// What the act left behind.
pub struct Answers {
    /// The first job, for the replay.
    pub job: String,
    /// Milliseconds from the demo's start to the first answer.
    pub first_answer_ms: u64,
    /// Whether the liar is out.
    pub is_liar_caught: bool,
}

/// Publishes the examples with an author's key.
pub async fn publish_all(
    client: &HubClient,
    guests: &Path,
    folder: &Path,
    story: &Story,
) -> Result<()> {
    for name in FUNCTIONS {
        let (record, published) = publish_one(client, guests, folder, name).await?;
        story.line(format_args!(
            "  {} {:<9} {:>9}  {}",
            style(format!("{:<17}", record.function.to_string())).bold(),
            published["kind"].as_str().unwrap_or_default(),
            out::bytes(record.module_bytes),
            style(record.module).dim()
        ));
        story.record(json!({ "event": "published", "function": published }));
    }
    Ok(())
}

/// Publishes one example.
pub async fn publish_one(
    client: &HubClient,
    guests: &Path,
    folder: &Path,
    name: &str,
) -> Result<(FunctionRecord, Value)> {
    let author = keys::load_or_make(&folder.join("author.key"))?;
    let path = guests.join(format!("{name}.wasm"));
    let module = std::fs::read(&path).with_context(|| {
        format!(
            "cannot read {}: build the functions with `cargo xtask guests`",
            path.display()
        )
    })?;
    let record = FunctionRecord {
        function: FunctionName::new(name, VERSION)?,
        module: BlobHash::of(&module),
        module_bytes: module.len() as u64,
        author: author.address(),
    };
    client.put_blob(module).await?;
    let published = client.publish(&record.clone().sign(&author)).await?;
    Ok((record, published))
}

/// Calls until the liar is caught, then a page, then a picture.
pub async fn call_all(
    client: &HubClient,
    fog: &Fog,
    folder: &Path,
    story: &Story,
    started: Instant,
) -> Result<Answers> {
    let mut answers = Answers {
        job: String::new(),
        first_answer_ms: 0,
        is_liar_caught: false,
    };
    for (name, text) in TEXTS {
        let called = count_words(client, fog, story, name, text).await?;
        if answers.job.is_empty() {
            answers.first_answer_ms = u64::try_from(started.elapsed().as_millis())?;
            answers.job = called.job;
            let counts = String::from_utf8_lossy(&called.output).into_owned();
            for line in counts.lines().take(4) {
                story.line(format_args!("      {}", style(line).dim()));
            }
        }
    }
    render_page(client, fog, folder, story).await?;
    render_picture(client, folder, story).await?;
    answers.is_liar_caught = show_miners(client, fog, story).await?;
    Ok(answers)
}

async fn count_words(
    client: &HubClient,
    fog: &Fog,
    story: &Story,
    name: &str,
    text: &[u8],
) -> Result<Called> {
    let asked = Instant::now();
    let called = client
        .call("wordcount", text.to_vec(), &CallOptions::default())
        .await?;
    let ms = asked.elapsed().as_millis();
    let job = client.get(&format!("/v1/jobs/{}", called.job)).await?;
    story.job(
        fog,
        &format!("wordcount < {name} ({})", out::bytes(text.len() as u64)),
        &job,
        ms,
    );
    Ok(called)
}

async fn render_page(client: &HubClient, fog: &Fog, folder: &Path, story: &Story) -> Result<()> {
    let (name, text) = TEXTS[1];
    let asked = Instant::now();
    let called = client
        .post("/f/markdown/", "text/markdown", text.to_vec())
        .await?;
    let ms = asked.elapsed().as_millis();
    let job = client.get(&format!("/v1/jobs/{}", called.job)).await?;
    story.job(fog, &format!("POST /f/markdown/ < {name}"), &job, ms);
    let path = folder.join("readme.html");
    std::fs::write(&path, &called.output)
        .with_context(|| format!("cannot write {}", path.display()))?;
    story.line(format_args!(
        "      {} of HTML in {}",
        out::bytes(called.output.len() as u64),
        path.display()
    ));
    Ok(())
}

/// Renders a picture in tiles, many calls at once.
async fn render_picture(client: &HubClient, folder: &Path, story: &Story) -> Result<()> {
    let mut places = Vec::new();
    for y in (0..HEIGHT).step_by(TILE) {
        places.extend((0..WIDTH).step_by(TILE).map(|x| (x, y)));
    }
    let tile = |(x, y): &(usize, usize)| {
        let request = json!({
            "width": WIDTH, "height": HEIGHT, "x": x, "y": y,
            "tile_width": TILE, "tile_height": TILE,
            "center_re": -0.743_643_887, "center_im": 0.131_825_904, "scale": 0.003,
            "iterations": 1_000,
        });
        request.to_string().into_bytes()
    };
    let inputs: Vec<Vec<u8>> = places.iter().map(tile).collect();
    let asked = Instant::now();
    let tiles = batch::run(client, "mandelbrot", inputs, &CallOptions::default()).await?;
    let ms = asked.elapsed().as_millis();

    let mut picture = Picture::new(WIDTH, HEIGHT);
    for ((x, y), called) in places.iter().zip(&tiles) {
        picture.put(*x, *y, TILE, &called.output)?;
    }
    let path: PathBuf = folder.join("mandelbrot.png");
    picture.write(&path)?;
    let fuel: u64 = tiles.iter().map(|called| called.fuel_used.0).sum();
    story.line(format_args!(
        "\n  {}\n    {} tiles, each agreed on · {} fuel · {ms} ms · {}",
        style("mandelbrot, a batch").bold(),
        tiles.len(),
        haar_records::Fuel(fuel),
        path.display()
    ));
    story.record(json!({
        "event": "batch", "tiles": tiles.len(), "fuel_used": fuel, "ms": ms as u64, "picture": path,
    }));
    Ok(())
}

/// Who has earned what; true when the liar is out.
async fn show_miners(client: &HubClient, fog: &Fog, story: &Story) -> Result<bool> {
    let found = client.get("/v1/miners").await?;
    let mut is_liar_caught = false;
    story.line("");
    for miner in found["miners"].as_array().into_iter().flatten() {
        let id = miner["miner"].as_str().unwrap_or_default();
        let is_out = miner["dismissed"] == true;
        is_liar_caught |= is_out && fog.miners.iter().any(|m| m.id == id && m.is_liar);
        let state = if is_out {
            style("dismissed for ever").red()
        } else {
            style("trusted").green()
        };
        story.line(format_args!(
            "  {:<4} {:>4} agreed answers   earned {:<14} {state}",
            fog.name(id),
            miner["record"].as_u64().unwrap_or_default(),
            amount(&miner["earned"])
        ));
    }
    story.record(
        json!({ "event": "miners", "miners": found["miners"], "liar_caught": is_liar_caught }),
    );
    Ok(is_liar_caught)
}

/// Saves the first job's receipt and replays it from the files alone.
pub async fn replay_one(
    client: &HubClient,
    answers: &Answers,
    folder: &Path,
    story: &Story,
) -> Result<bool> {
    let saved = folder.join("receipt");
    replay::save(client, &answers.job, &saved).await?;
    let from = saved.clone();
    let replayed = tokio::task::spawn_blocking(move || replay::replay(&from)).await??;
    let is_same = replayed.ran.key() == replayed.claimed;
    story.line(format_args!("  haar replay {}", saved.display()));
    story.line(format_args!("    signatures  {} good", replayed.signatures));
    story.line(format_args!("    output      {}", replayed.ran.output));
    story.line(format_args!("    fuel        {}", replayed.ran.fuel_used));
    let word = if is_same {
        style("the same, to the last bit and unit of fuel").green()
    } else {
        style("NOT the same").red()
    };
    story.line(format_args!("    {word}"));
    let facts: Value = json!({
        "event": "replayed", "same": is_same, "signatures": replayed.signatures,
        "output": replayed.ran.output.to_string(), "fuel_used": replayed.ran.fuel_used.0,
    });
    story.record(facts);
    Ok(is_same)
}
