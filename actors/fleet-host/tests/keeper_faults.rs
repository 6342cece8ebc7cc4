//! Keepers that are killed, stuck, or not what the files say, and what becomes of their units.

mod support;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use oa_fleet::Engine;
use oa_fleet::unit::UnitDesire;
use oa_fleet_host::StopUnits;
use rustix::process::Signal;
use support::{Stage, launch, name, output, processes, reaches, service, signal, until};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio::process::{Child, Command};

/// Programs that are hard to find again: in a session of their own, and more.
const HIDERS: [(&str, &str); 3] = [
    ("plain", "/usr/bin/setsid --fork /bin/sleep"),
    ("without the mark", "/usr/bin/setsid --fork /usr/bin/env -i /bin/sleep"),
    (
        "without the lock",
        "/usr/bin/perl -MPOSIX -e \
         'POSIX::close($_) for 3..99; fork and exit; setsid; exec @ARGV' /bin/sleep",
    ),
];

/// A number that no other test has, to know a program by.
fn own(number: u32) -> String {
    format!("{number}{}", std::process::id())
}

/// The one process of a hider; `None` while there is none.
fn hidden(at: usize) -> Option<i32> {
    let words = format!("/bin/sleep\0{}\0", own(83_000 + at as u32));
    let mut found = processes(&words);
    // Those that are on the way to become it have it in their arguments, too.
    found.retain(|pid| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|is| is == words.as_bytes())
    });
    assert!(found.len() < 2, "two instances of {}: {found:?}", HIDERS[at].0);
    found.first().copied()
}

#[tokio::test]
async fn programs_that_hide_are_ended_before_they_start_again_when_their_keeper_was_killed() {
    let stage = Stage::new();
    let mut host = stage.start().await;
    let client = stage.client();
    let unit = |at: usize| format!("hide@{at}.service");
    for (at, (how, command)) in HIDERS.iter().enumerate() {
        let command = format!("{command} {}", own(83_000 + at as u32));
        let lines = [("Type", "oneshot"), ("RemainAfterExit", "yes"), ("ExecStart", &*command)];
        client.put(&name(&unit(at)), &service(&lines), UnitDesire::Launched).await.expect("made");
        reaches(&client, &unit(at), "active", "exited").await;
        until(how, async || hidden(at).is_some()).await;
    }
    for is_host_there in [true, false] {
        let before = [0, 1, 2].map(hidden);
        let kill_keepers = || {
            (0..HIDERS.len()).for_each(|at| signal(stage.keeper_of(&unit(at)), Signal::KILL));
        };
        if is_host_there {
            kill_keepers();
        } else {
            host.stop(StopUnits::Leave).await;
            kill_keepers();
            host = stage.start().await;
        }
        for (at, (how, _)) in HIDERS.iter().enumerate() {
            until(how, async || hidden(at).is_some_and(|now| Some(now) != before[at])).await;
            reaches(&client, &unit(at), "active", "exited").await;
        }
    }
    stage.end(host).await;
    assert_eq!([0, 1, 2].map(hidden), [None; 3]);
}

#[tokio::test]
async fn whoever_merely_reads_the_files_of_a_keeper_is_not_taken_for_its_unit() {
    let stage = Stage::new();
    let host = stage.start().await;
    let words = format!("/bin/sleep\0{}", own(83_060));
    launch(&stage.client(), "app.service", &[("ExecStart", &words.replace('\0', " "))]).await;
    let before = processes(&words);
    let lock = stage.run_of("app.service").join("lock").display().to_string();
    let (mut reader, id) = stranger(&["/usr/bin/tail", "--follow", &lock]);
    let files = || std::fs::read_dir(format!("/proc/{id}/fd")).expect("it runs").flatten();
    let has_it =
        |file: std::fs::DirEntry| file.path().read_link().is_ok_and(|l| l == Path::new(&lock));
    until("it reads", async || files().any(has_it)).await;

    signal(stage.keeper_of("app.service"), Signal::KILL);

    until("a new process", async || {
        let now = processes(&words);
        now.len() == 1 && now != before
    })
    .await;
    assert!(reader.try_wait().expect("it can be asked").is_none(), "it still reads");
    stage.end(host).await;
}

/// A process that no unit knows; it ends with the test.
fn stranger(words: &[&str]) -> (Child, i32) {
    let child = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let id = child.id().and_then(|id| i32::try_from(id).ok()).expect("it runs");
    (child, id)
}

/// When a process started, in ticks after the boot.
fn start_time(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields = text.rsplit_once(')').expect("a name").1;
    fields.split_whitespace().nth(19).and_then(|field| field.parse().ok()).expect("a number")
}

/// Changes a JSON file of a keeper.
fn change(file: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let text = std::fs::read(file).expect("it is there");
    let mut value = serde_json::from_slice(&text).expect("JSON");
    change(&mut value);
    std::fs::write(file, value.to_string()).expect("it is writable");
}

/// A machine on which a keeper and its program are gone, and their numbers are those of a stranger now, who has
/// `process` as its identity in the eyes of the host.
async fn starts_again_beside_a_stranger(process: impl Fn(i32) -> serde_json::Value) {
    let stage = Stage::new();
    let host = stage.start().await;
    let job = [("Type", "oneshot"), ("ExecStart", "/bin/echo once")];
    let client = stage.client();
    client.put(&name("job.service"), &service(&job), UnitDesire::Launched).await.expect("made");
    reaches(&client, "job.service", "inactive", "dead").await;
    let marker = own(83_010);
    launch(&client, "app.service", &[("ExecStart", &format!("/bin/sleep {marker}"))]).await;
    host.stop(StopUnits::Leave).await;
    let program = processes(&format!("/bin/sleep\0{marker}"))[0];
    signal(stage.keeper_of("app.service"), Signal::KILL);
    signal(program, Signal::KILL);
    until("their end", async || processes(&marker).is_empty()).await;
    let (mut stranger, id) = stranger(&["/bin/sleep", "830010"]);
    let process = process(id);
    for unit in ["app.service", "job.service"] {
        let run = stage.run_of(unit);
        change(&run.join("status.json"), |status| {
            status["boot"] = process["boot"].clone();
            if unit == "app.service" {
                status["process"] = process.clone();
            }
        });
        change(&run.join("lock"), |lock| {
            for field in ["pid", "started", "boot"] {
                lock[field] = process[field].clone();
            }
        });
    }

    let host = stage.start().await;

    reaches(&client, "app.service", "active", "running").await;
    assert_eq!(processes(&format!("/bin/sleep\0{marker}")).len(), 1);
    assert!(stranger.try_wait().expect("it can be asked").is_none(), "the stranger still runs");
    let runs_of_the_job = if process["boot"] == "another" { 2 } else { 1 };
    until("the job", async || {
        let kept = stage.kept("job.service").await;
        kept.is_null() && output(&client, "job.service").await == "once\n".repeat(runs_of_the_job)
    })
    .await;
    stage.end(host).await;
    assert!(stranger.try_wait().expect("it can be asked").is_none(), "the stranger still runs");
}

#[tokio::test]
async fn a_number_that_another_process_has_now_is_neither_signalled_nor_adopted() {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot");
    starts_again_beside_a_stranger(
        |id| serde_json::json!({"pid": id, "started": start_time(id) - 1, "boot": boot.trim()}),
    )
    .await;
}

#[tokio::test]
async fn after_a_boot_what_is_wanted_starts_once_and_nothing_is_signalled() {
    // Even one with the same number and the same start: ticks after another boot.
    starts_again_beside_a_stranger(
        |id| serde_json::json!({"pid": id, "started": start_time(id), "boot": "another"}),
    )
    .await;
}

#[tokio::test]
async fn a_keeper_that_hangs_is_said_and_holds_nobody_up() {
    let stage = Stage::new().with_patience(Duration::from_millis(150));
    let mut host = stage.start().await;
    let client = stage.client();
    let [hangs, other] = [83_020, 83_021].map(|number| format!("/bin/sleep\0{}", own(number)));
    launch(&client, "hangs.service", &[("ExecStart", &hangs.replace('\0', " "))]).await;
    let program = processes(&hangs);
    let keeper = stage.keeper_of("hangs.service");
    for restarts_host in [false, true] {
        signal(keeper, Signal::STOP);
        if restarts_host {
            drop(host);
            host = stage.start().await;
        }
        reaches(&client, "hangs.service", "active", "unresponsive").await;
        launch(&client, "other.service", &[("ExecStart", &other.replace('\0', " "))]).await;
        signal(keeper, Signal::CONT);
        reaches(&client, "hangs.service", "active", "running").await;
        assert_eq!(processes(&hangs), program, "it ran all the time");
    }

    signal(keeper, Signal::STOP);
    client.remove(&name("hangs.service")).await.expect("it is removed");
    stage.is_off_the_machine("hangs.service").await;
    assert!(processes(&hangs).is_empty(), "the keeper is killed, and its unit");

    signal(stage.keeper_of("other.service"), Signal::STOP);
    stage.end(host).await;
    assert!(processes(&other).is_empty(), "a host that stops its units does not wait for ever");
}

#[tokio::test]
async fn a_living_keeper_is_adopted_whatever_the_files_beside_it_say() {
    let stage = Stage::new().with_patience(Duration::from_millis(500));
    let host = stage.start().await;
    let client = stage.client();
    let damages: [(&str, &[u8]); 5] = [
        ("status.json", b""),
        ("status.json", b"{\"hash\":\"x"),
        ("lock", b"\xff\x00garbage"),
        ("plan.json", b"{"),
        ("control", b""),
    ];
    let sleep = |at: usize| format!("/bin/sleep {}", own(83_030 + at as u32));
    let unit = |at: usize| format!("app@{at}.service");
    for at in 0..damages.len() {
        launch(&client, &unit(at), &[("ExecStart", &sleep(at))]).await;
    }
    let programs = || [0, 1, 2, 3, 4].map(|at| processes(&sleep(at).replace(' ', "\0")));
    let before = programs();
    host.stop(StopUnits::Leave).await;
    for (at, (file, text)) in damages.iter().enumerate() {
        let file = stage.run_of(&unit(at)).join(file);
        std::fs::remove_file(&file).expect("it is there");
        std::fs::write(&file, text).expect("it is writable");
    }

    let host = stage.start().await;

    until("the keeper without its socket is replaced", async || {
        let now = programs();
        now[4].len() == 1 && now[4] != before[4]
    })
    .await;
    for at in 0..damages.len() {
        reaches(&client, &unit(at), "active", "running").await;
    }
    assert_eq!(programs()[..4], before[..4], "the same processes");
    stage.end(host).await;
    assert!(programs().iter().all(Vec::is_empty));
}

#[tokio::test]
async fn a_damaged_definition_harms_no_other_unit_and_what_runs_of_it_goes_on() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let commands = [83_040, 83_041, 83_042].map(|number| format!("/bin/sleep {}", own(number)));
    let units = ["again.service", "gone.service", "sound.service"];
    for (unit, command) in units.iter().zip(&commands) {
        launch(&client, unit, &[("ExecStart", command)]).await;
    }
    let programs = || commands.each_ref().map(|command| processes(&command.replace(' ', "\0")));
    let before = programs();
    host.stop(StopUnits::Leave).await;
    std::fs::write(stage.definition_of("again.service"), "").expect("it is writable");
    std::fs::write(stage.definition_of("gone.service"), "{\"name\":").expect("it is writable");

    for _ in 0..2 {
        let host = stage.start().await;
        for unit in units {
            reaches(&client, unit, "active", "running").await;
            let load = &client.state(&name(unit)).await.expect("a state")[0].systemd_load_state;
            assert_eq!(*load, if unit == "sound.service" { "loaded" } else { "error" }, "{unit}");
        }
        assert_eq!(programs(), before, "the same processes");
        host.stop(StopUnits::Leave).await;
    }

    let host = stage.start().await;
    assert!(client.remove(&name("gone.service")).await.expect("it is removed"));
    stage.is_off_the_machine("gone.service").await;
    launch(&client, "again.service", &[("ExecStart", &commands[0])]).await;
    until("a new process", async || {
        let now = programs();
        now[0].len() == 1 && now[0] != before[0]
    })
    .await;
    assert!(programs()[1].is_empty());
    stage.end(host).await;
}

#[tokio::test]
async fn a_keeper_of_a_later_release_is_adopted_and_stopped() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let options = service(&[("ExecStart", "/bin/true")]);
    client.put(&name("app.service"), &options, UnitDesire::Loaded).await.expect("it is made");
    host.stop(StopUnits::Leave).await;
    let definition = stage.definition_of("app.service");
    change(&definition, |stored| stored["desired"] = "launched".into());
    let launch = 0;
    change(&definition, |stored| stored["launch"] = launch.into());
    std::fs::create_dir_all(stage.run_of("app.service")).expect("a directory");
    let listener = UnixListener::bind(stage.run_of("app.service").join("control")).expect("bound");
    let keeper = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a host");
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let hello = "{\"version\":99,\"hash\":\"abc\",\"launch\":0,\"phase\":\"Hibernating\",\"mood\":{}}\n";
        writer.write_all(hello.as_bytes()).await.expect("the host reads");
        writer.write_all(b"what no host of this release understands\n").await.expect("it reads");
        assert_eq!(lines.next_line().await.expect("a line").as_deref(), Some("stop"));
        assert_eq!(lines.next_line().await.expect("a line").as_deref(), Some("say"));
        let end = "{\"version\":99,\"hash\":\"abc\",\"launch\":0,\"phase\":\"Dead\",\"was_stopped\":true}\n";
        writer.write_all(end.as_bytes()).await.expect("the host reads");
    });

    let host = stage.start().await;

    reaches(&client, "app.service", "active", "unknown").await;
    assert_eq!(stage.kept("app.service").await["version"], 99);
    client.remove(&name("app.service")).await.expect("it is removed");
    stage.is_off_the_machine("app.service").await;
    keeper.await.expect("it was asked as a keeper is");
    stage.end(host).await;
}

#[tokio::test]
async fn a_host_that_does_not_read_holds_no_keeper_up() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let lines = [
        ("ExecStart", "/bin/true"),
        ("Restart", "always"),
        ("RestartSec", "1ms"),
        ("StartLimitBurst", "0"),
    ];
    client.put(&name("app.service"), &service(&lines), UnitDesire::Launched).await.expect("made");
    until("its keeper", async || !stage.kept("app.service").await.is_null()).await;
    let starts = async || stage.kept("app.service").await["starts"].as_u64().unwrap_or(0);
    // Whoever listens and never reads: what a stopped host is.
    let socket = stage.run_of("app.service").join("control");
    let mut stuck = std::os::unix::net::UnixStream::connect(socket).expect("the keeper listens");

    let before = starts().await;
    until("many starts", async || starts().await > before + 400).await;

    let mut heard = Vec::new();
    std::io::Read::read_to_end(&mut stuck, &mut heard).expect("it was cut off");
    assert!(heard.len() > 1000, "{} bytes", heard.len());
    stage.end(host).await;
}

#[tokio::test]
async fn however_early_a_keeper_is_killed_its_unit_has_one_instance() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let unit = "app.service";
    let words = format!("/bin/sleep\0{}", own(83_050));
    launch(&client, unit, &[("ExecStart", &words.replace('\0', " "))]).await;
    let keepers = || processes(&stage.run_of(unit).display().to_string());
    let mut before = keepers();
    for round in 0..5_u64 {
        signal(before[0], Signal::KILL);
        // The next one dies at another place on its way to the program.
        until("the next keeper", async || {
            assert!(processes(&words).len() < 2, "two instances in round {round}");
            let now = keepers();
            now.len() == 1 && now != before
        })
        .await;
        tokio::time::sleep(Duration::from_micros(900 * round)).await;
        before = keepers();
    }

    reaches(&client, unit, "active", "running").await;
    until("one instance", async || processes(&words).len() == 1).await;
    stage.end(host).await;
    assert!(processes(&words).is_empty());
}
