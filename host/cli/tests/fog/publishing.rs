//! What an author may publish, and what is refused.

use haar_records::Keypair;
use serde_json::json;

use crate::buyer::{publication, sign};
use crate::fog::{Fog, hub_alone, key, write_key};
use crate::guests;
use crate::process::{haar, run};

async fn publish(
    fog: &Fog,
    function: &str,
    module: &[u8],
    author: &Keypair,
) -> crate::buyer::Answer {
    fog.buyer.publish(function, module, author).await
}

#[tokio::test]
async fn a_module_that_cannot_run_is_refused_with_the_reason_and_the_place() {
    let fog = hub_alone().await;
    let import = r#"(module (import "env" "system" (func)) (memory (export "memory") 1) (func (export "_start")))"#;
    let threads = r#"(module (memory (export "memory") 1 1 shared) (func (export "_start")))"#;
    let no_entry = r#"(module (memory (export "memory") 1))"#;
    let mut torn = guests::endless_loop();
    torn.truncate(torn.len() - 3);
    let cases = [
        (b"no module at all".to_vec(), "E_INVALID", true),
        (torn, "E_INVALID", true),
        (wat::parse_str(import).unwrap(), "E_IMPORT", true),
        (wat::parse_str(threads).unwrap(), "E_FEATURE_THREADS", true),
        (wat::parse_str(no_entry).unwrap(), "E_ENTRY", false),
    ];
    for (module, reason, has_place) in cases {
        let problem = publish(&fog, "bad@1.0.0", &module, &fog.author).await;
        let problem = problem.problem(422, "module-refused");
        assert_eq!(problem["reason"], reason, "{problem:#}");
        assert_eq!(problem["offset"].is_u64(), has_place, "{problem:#}");
    }
    fog.buyer
        .call("bad", b"")
        .await
        .problem(404, "unknown-function");
}

#[tokio::test]
async fn the_command_line_says_where_a_module_is_wrong_before_it_sends_it() {
    let fog = hub_alone().await;
    let path = fog.dir.path().join("bad.wasm");
    std::fs::write(&path, b"\0asm\x01\0\0\0\x01\x7f").unwrap();
    let mut command = haar();
    command
        .arg("publish")
        .arg(&path)
        .args(["--name", "bad@1.0.0", "--hub", &fog.hub.url]);
    let ended = run({
        command.arg("--key").arg(fog.dir.path().join("author.key"));
        command
    })
    .await;
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .stderr
            .contains("bad.wasm cannot run on Haar at byte "),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_name_belongs_to_its_first_author_and_only_rises() {
    let fog = hub_alone().await;
    let (old, new) = (guests::endless_loop(), guests::endless_memory());
    let (author, thief) = (key(1), key(2));
    let status = async |function: &str, module: &[u8], author: &Keypair| {
        publish(&fog, function, module, author).await
    };
    assert_eq!(status("fog@1.1.0", &old, &author).await.status, 201);
    assert_eq!(
        status("fog@1.1.0", &old, &author).await.status,
        201,
        "the same again is no change"
    );
    status("fog@1.2.0", &old, &thief)
        .await
        .problem(409, "name-taken");
    status("fog@1.1.0", &new, &author)
        .await
        .problem(409, "name-taken");
    status("fog@1.0.9", &new, &author)
        .await
        .problem(409, "name-taken");
    assert_eq!(
        status("fog@1.10.0", &new, &author).await.status,
        201,
        "1.10 is above 1.9"
    );

    let newest = fog.buyer.get("/v1/functions/fog").await;
    assert_eq!(newest["version"], "1.10.0");
    let first = fog.buyer.get("/v1/functions/fog@1.1.0").await;
    assert_eq!(
        first["module"],
        haar_records::BlobHash::of(&old).to_string()
    );
}

#[tokio::test]
async fn a_record_that_its_author_did_not_sign_is_refused() {
    let fog = hub_alone().await;
    let module = guests::endless_loop();
    fog.buyer.put_blob(&module).await;
    let honest = publication(&sign("fog@1.0.0", &module, &key(1)));

    let mut foreign = honest.clone();
    foreign["author"] = json!(key(2).address());
    fog.buyer
        .publish_record(&foreign)
        .await
        .problem(403, "bad-signature");
    let mut renamed = honest.clone();
    renamed["name"] = json!("haar");
    fog.buyer
        .publish_record(&renamed)
        .await
        .problem(403, "bad-signature");
    let mut unsigned = honest.clone();
    unsigned["signature"] = json!(format!("0x{}", "00".repeat(65)));
    fog.buyer
        .publish_record(&unsigned)
        .await
        .problem(403, "bad-signature");

    let mut torn = honest.clone();
    torn["signature"] = json!("0x12");
    fog.buyer
        .publish_record(&torn)
        .await
        .problem(400, "bad-publication");
    fog.buyer
        .publish_record(&json!({ "name": "fog" }))
        .await
        .problem(400, "bad-publication");
    let missing = publication(&sign("fog@1.0.0", b"nobody sent this", &key(1)));
    fog.buyer
        .publish_record(&missing)
        .await
        .problem(409, "module-missing");
    assert_eq!(fog.buyer.publish_record(&honest).await.status, 201);
}

#[tokio::test]
async fn a_key_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;

    let fog = hub_alone().await;
    let path = write_key(&fog.dir.path().join("author"), &key(1));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let module = fog.dir.path().join("fog.wasm");
    std::fs::write(&module, guests::endless_loop()).unwrap();
    let mut command = haar();
    command
        .arg("publish")
        .arg(&module)
        .args(["--name", "fog@1.0.0", "--hub", &fog.hub.url]);
    command.arg("--key").arg(&path);
    let ended = run(command).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("chmod 600"), "{}", ended.stderr);
}
