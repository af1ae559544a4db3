//! A miner's guests live in processes that have nothing: seen from outside, by the kernel's word.

use std::fs;

use crate::fog::{Fog, HONEST};
use crate::process::until;

/// The processes that a process has started.
fn children(of: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{of}/task")) else {
        return Vec::new();
    };
    let of_task = |task: std::io::Result<fs::DirEntry>| {
        let path = task.ok()?.path().join("children");
        fs::read_to_string(path).ok()
    };
    let listed: String = tasks.filter_map(of_task).collect();
    listed
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect()
}

fn status(process: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/status")).ok()
}

fn is_locked_in(process: u32) -> bool {
    status(process)
        .is_some_and(|status| status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"))
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "guests are confined on Linux only")]
async fn a_miners_runners_are_locked_in_and_have_no_key() {
    let fog = Fog::start(&[HONEST, HONEST]).await;
    fog.publish_example("wordcount").await;
    let counted = fog.buyer.call("wordcount", b"one two two").await;
    counted.output();

    for miner in &fog.miners {
        let said = miner.said("guests");
        assert_eq!(said["confined"], true, "{said}");
        let runners = children(miner.process_id());
        assert!(!runners.is_empty(), "a miner has a runner ready");
        for runner in runners {
            let locked = || async move { is_locked_in(runner).then_some(()) };
            until("a runner's locking itself in", locked).await;
            let command = fs::read(format!("/proc/{runner}/cmdline")).unwrap();
            let command = String::from_utf8_lossy(&command).into_owned();
            assert!(
                !command.contains("key") && !command.contains(&miner.id),
                "{command}"
            );
            // Readable for root only: nobody else may look into a runner at all.
            if let Ok(environment) = fs::read(format!("/proc/{runner}/environ")) {
                assert_eq!(environment, b"");
            }
        }
    }
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "guests are confined on Linux only")]
async fn a_fog_whose_runners_are_killed_goes_on_answering() {
    let fog = Fog::start(&[HONEST, HONEST]).await;
    fog.publish_example("wordcount").await;
    for round in 0..5_u8 {
        for miner in &fog.miners {
            for runner in children(miner.process_id()) {
                // Those that work, those that wait and those that are only being born.
                let _ = std::process::Command::new("kill")
                    .args(["-9", &runner.to_string()])
                    .status();
            }
        }
        let answer = fog.buyer.call("wordcount", &[b'a' + round]).await;
        answer.output();
    }
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "guests are confined on Linux only")]
async fn a_killed_miner_leaves_no_runner_behind() {
    let mut fog = Fog::start(&[HONEST]).await;
    let miner = &mut fog.miners[0];
    let runners = children(miner.process_id());
    assert!(!runners.is_empty());
    miner.kill();
    let gone = || async {
        let alive =
            |runner: &u32| status(*runner).is_some_and(|status| !status.contains("State:\tZ"));
        (!runners.iter().any(alive)).then_some(())
    };
    until("the runners' end", gone).await;
}
