//! `oa why` on units of the embedded cluster: whatever state a unit is in, its reason is told.

use std::time::Duration;

use oa_api::{Client, Finding};
use oa_fleet::{Engine, FleetClient};
use oa_protocol::UnitName;
use oa_protocol::unit::{UnitDesire, UnitOption};
use oa_test_services::eventually::eventually;
use oa_test_services::node::{NodeHome, TestNode, binaries};
use tokio::net::TcpListener;

use crate::stage::client_of;

const SOON: Duration = Duration::from_secs(20);

/// A unit, the lines of its file as `Section.Name=value`, and what the answer must say.
struct Case {
    code: &'static str,
    name: &'static str,
    lines: &'static [&'static str],
    words: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        code: "unit_starting",
        name: "starting.service",
        lines: &["Service.ExecStartPre=/bin/sleep 600", "Service.ExecStart=/bin/sleep 600"],
        words: &["ExecStartPre= is at work"],
    },
    Case {
        code: "restart_wait",
        name: "patient.service",
        lines: &[
            "Service.ExecStart=/bin/false",
            "Service.Restart=always",
            "Service.RestartSec=600",
        ],
        words: &["exit status: 1", "waits for its restart"],
    },
    Case {
        code: "crash_loop",
        name: "looping.service",
        lines: &[
            "Service.ExecStart=/bin/ls /nothing-is-here",
            "Service.Restart=always",
            "Service.RestartSec=200ms",
            "Unit.StartLimitBurst=1000",
        ],
        words: &["exit status: 2", "cannot access '/nothing-is-here'", "oa logs looping.service"],
    },
    Case {
        code: "start_limit_hit",
        name: "hasty.service",
        lines: &[
            "Service.ExecStart=/bin/false",
            "Service.Restart=always",
            "Service.RestartSec=1ms",
            "Unit.StartLimitBurst=3",
        ],
        words: &["after 3 starts it was given up"],
    },
    Case {
        code: "unit_failed",
        name: "failing.service",
        lines: &["Service.ExecStart=/bin/false"],
        words: &["exit status: 1", "not to be started again"],
    },
    Case {
        code: "unit_ended",
        name: "done.service",
        lines: &["Service.ExecStart=/bin/true"],
        words: &["exit status: 0", "Restart=always"],
    },
    Case {
        code: "program_missing",
        name: "missing.service",
        lines: &["Service.ExecStart=/nothing-is-here/program"],
        words: &["/nothing-is-here/program", "No such file"],
    },
    Case {
        code: "no_machine_fits",
        name: "distant.service",
        lines: &["Service.ExecStart=/bin/true", "X-Fleet.MachineMetadata=region=moon"],
        words: &["region=moon"],
    },
    Case {
        code: "unit_conflict",
        name: "rival.service",
        lines: &["Service.ExecStart=/bin/true", "X-Fleet.Conflicts=starting.service"],
        words: &["starting.service"],
    },
    Case {
        code: "peer_missing",
        name: "lonely.service",
        lines: &["Service.ExecStart=/bin/true", "X-Fleet.MachineOf=ghost.service"],
        words: &["ghost.service"],
    },
];

fn options(lines: &[impl AsRef<str>]) -> Vec<UnitOption> {
    let option = |line: &str| {
        let (section, rest) = line.split_once('.').expect("a section");
        let (name, value) = rest.split_once('=').expect("a name");
        UnitOption::new(section, name, value)
    };
    lines.iter().map(|line| option(line.as_ref())).collect()
}

fn name(text: &str) -> UnitName {
    UnitName::new(text).expect("a unit name")
}

/// The embedded cluster of a node, spoken to as the Deployer does.
fn cluster(node: &TestNode) -> FleetClient {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    FleetClient::unix(node.data().join("fleet/fleet.sock")).expect("a client")
}

/// Waits until the only finding about a unit has this code; it must say all of `words`.
async fn until_told(client: &Client, unit: &str, code: &str, words: &[&str]) -> Finding {
    let mut last = Vec::new();
    let told = eventually(SOON, || async {
        let found = client.why_unit("local", unit).await.expect("an answer");
        found.iter().any(|finding| finding.reason_code == code)
    })
    .await;
    if let Ok(found) = client.why_unit("local", unit).await {
        last = found;
    }
    assert!(told && last.len() == 1, "{unit}: not `{code}`: {last:#?}");
    let text = format!("{:?}", last[0]);
    for word in words {
        assert!(text.contains(word), "{unit}: `{word}` is missing in {:#?}", last[0]);
    }
    last.remove(0)
}

#[tokio::test]
async fn every_unit_that_does_not_run_says_why() {
    let home = NodeHome::new().with_argument("--stop-units");
    let node = home.start().await;
    let (client, cluster) = (client_of(&node), cluster(&node));
    for case in CASES {
        let put = cluster.put(&name(case.name), &options(case.lines), UnitDesire::Launched).await;
        put.unwrap_or_else(|why| panic!("{}: {why}", case.name));
    }
    for case in CASES {
        let finding = until_told(&client, case.name, case.code, case.words).await;
        assert!(finding.subject.contains(case.name), "{finding:#?}");
    }
    let all = client.why_cluster("local").await.expect("an answer");
    assert_eq!(all.len(), CASES.len(), "the cluster tells of each of them: {all:#?}");
    let on_node = client.why().await.expect("an answer");
    assert_eq!(on_node.len(), CASES.len(), "the node, too: {on_node:#?}");
    node.stop().await;
}

#[tokio::test]
async fn a_unit_whose_port_is_taken_a_unit_that_stops_and_one_that_is_not_asked_to_run_say_so() {
    let home = NodeHome::new().with_argument("--stop-units");
    let node = home.start().await;
    let (client, cluster) = (client_of(&node), cluster(&node));
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let server = binaries().join("hello-server").display().to_string();
    let lines = [
        format!("Service.ExecStart={server}"),
        format!("Service.Environment=PORT={port}"),
        "Service.Environment=INSTANCE=busy".to_owned(),
        "Service.Environment=REVISION=1".to_owned(),
    ];
    let launched = UnitDesire::Launched;
    cluster.put(&name("busy.service"), &options(&lines), launched).await.expect("put");
    until_told(&client, "busy.service", "port_in_use", &["in use", "ss -ltnp"]).await;

    let slow = ["Service.ExecStart=/bin/sleep 600", "Service.ExecStop=/bin/sleep 3"];
    cluster.put(&name("slow.service"), &options(&slow), launched).await.expect("put");
    let runs = eventually(SOON, || async {
        client.why_unit("local", "slow.service").await.expect("an answer").is_empty()
    });
    assert!(runs.await, "a unit that runs has nothing to say");
    cluster.set_desire(&name("slow.service"), UnitDesire::Loaded).await.expect("stopped");
    until_told(&client, "slow.service", "unit_stopping", &["TimeoutStopSec="]).await;
    until_told(&client, "slow.service", "not_launched", &["nobody asks it to run"]).await;

    let refusal = client.why_unit("local", "slwo.service").await.expect_err("no such unit");
    assert!(refusal.is_not_found());
    assert_eq!(refusal.hint().as_deref(), Some("did you mean `slow.service`?"));
    node.stop().await;
}
