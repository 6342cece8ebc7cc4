//! Time, size, and what is left when an attempt ends, however it ends.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use oa_builder::BuildError;
use oa_test_services::eventually::eventually;

use crate::support::{Workshop, command, deployment, executable, noise, source};

#[tokio::test]
async fn a_step_whose_time_is_over_ends_and_leaves_nothing() {
    let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
    let mut command = command(&deployment, &source);
    command.timeout = std::time::Duration::from_micros(1);
    let refusal = workshop.run(&command).await.expect_err("no time");
    assert!(
        refusal.is_retryable() && refusal.to_string().contains("time of 1µs was over"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_repository_that_is_too_large_is_refused() {
    let workshop = Workshop::with(|config| config.repository_limit_bytes = 20_000).await;
    let deployment = deployment();
    deployment.commit(&[("noise", &noise(100_000))], "noise");
    let refusal = workshop.run(&command(&deployment, &source())).await.expect_err("too large");
    assert!(
        matches!(&refusal, BuildError::Git(_)) && refusal.to_string().contains("larger than 20000"),
        "{refusal}"
    );
}

#[tokio::test]
async fn what_an_earlier_process_left_behind_is_removed_and_nothing_else() {
    let workshop = Workshop::open().await;
    let work = workshop.directory.path().join("work");
    std::fs::create_dir_all(work.join("attempt-old/deployment.git")).expect("a directory");
    std::fs::create_dir_all(work.join("precious")).expect("a directory");
    workshop.milestone.prepare().await.expect("git is installed");
    assert!(!work.join("attempt-old").exists() && work.join("precious").exists());
}

/// Longest that a busy machine may take for what takes milliseconds.
const SOON: Duration = Duration::from_secs(20);

/// A git that does not come back from a fetch, does not listen, and has a child that does not either.
fn hanging_git(place: &Path) -> std::path::PathBuf {
    let git = place.join("git");
    let script = "#!/bin/sh\ncase \" $* \" in *\" fetch \"*)\n\
                  trap '' TERM; (trap '' TERM; exec sleep 600) & while :; do sleep 600; done;;\n\
                  esac\nexec git \"$@\"\n";
    executable(&git, script);
    git
}

/// Processes whose environment names `place`.
fn at_home_in(place: &Path) -> usize {
    let place = place.display().to_string();
    let processes = fs::read_dir("/proc").expect("/proc is there").flatten();
    let names_it = |entry: &fs::DirEntry| {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&place)
    };
    processes.filter(names_it).count()
}

#[tokio::test]
async fn a_call_that_hangs_is_ended_with_all_that_it_started_and_can_be_tried_again() {
    let place = tempfile::tempdir().expect("a directory");
    let workshop = Workshop::with(|config| {
        config.git_program = hanging_git(place.path());
        config.call_timeout = Duration::from_millis(300);
    })
    .await;
    let (deployment, source) = (deployment(), source());
    let refusal =
        workshop.run(&command(&deployment, &source)).await.expect_err("it hangs").to_failure();
    assert!(refusal.retryable && refusal.message.contains("`builder.call_timeout`"), "{refusal:?}");
    assert_eq!(at_home_in(workshop.directory.path()), 0, "a program is left");
}

#[tokio::test]
async fn a_cancelled_attempt_leaves_neither_programs_nor_files() {
    let place = tempfile::tempdir().expect("a directory");
    let workshop = Workshop::with(|config| config.git_program = hanging_git(place.path())).await;
    let (deployment, source) = (deployment(), source());
    let (command, work) = (command(&deployment, &source), workshop.directory.path().join("work"));
    let run = workshop.milestone.run(&command, |_| {});
    let hangs = eventually(SOON, async || 2 <= at_home_in(&work));
    tokio::select! {
        result = run => panic!("it cannot end: {result:?}"),
        begun = hangs => assert!(begun, "git runs"),
    }
    // The future is dropped now.
    let nothing_left =
        async || at_home_in(&work) == 0 && fs::read_dir(&work).is_ok_and(|left| left.count() == 0);
    assert!(eventually(SOON, nothing_left).await, "something is left");
}

#[tokio::test]
async fn what_a_killed_node_left_running_is_ended_at_the_next_start() {
    let workshop = Workshop::open().await;
    let attempt = workshop.directory.path().join("work/attempt-old");
    fs::create_dir_all(attempt.join("deployment.git")).expect("a directory");
    let mut orphan = Command::new("/bin/sleep");
    orphan.arg("600").env("HOME", attempt.join("deployment.git"));
    std::os::unix::process::CommandExt::process_group(&mut orphan, 0);
    let mut orphan = orphan.spawn().expect("sleep");
    workshop.milestone.prepare().await.expect("git is installed");
    assert!(!orphan.wait().expect("it ended").success() && !attempt.exists());
}
