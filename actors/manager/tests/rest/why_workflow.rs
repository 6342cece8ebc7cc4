//! `GET /workflows/:id/why`: each state of a workflow, made by its journal, is told with its reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use oa_protocol::build::ConfigOutput;
use oa_protocol::module::Heartbeat;
use oa_protocol::step::{StepFailure, StepNews, StepOutput, StepReport};
use oa_protocol::unit::{Unit, UnitOption};
use oa_protocol::{EtcdToken, FailureCode, WorkflowId};
use oa_store::{Clock, Event, TimerKind};
use serde_json::{Value, json};

use crate::manager::TestManager;
use crate::why::{check, findings, only};

/// The node that does the steps.
const WORKER: &str = "build-1";
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// A Manager whose time passes when the test says so.
struct Stage {
    manager: TestManager,
    now_ms: Arc<AtomicI64>,
}

impl Stage {
    async fn new() -> Self {
        let now_ms = Arc::new(AtomicI64::new(1_800_000_000_000));
        let clock = Arc::clone(&now_ms);
        let manager = TestManager::start_at(Clock::new(move || clock.load(Ordering::SeqCst))).await;
        Self { manager, now_ms }
    }

    /// One with a builder and a deployer on node [`WORKER`].
    async fn with_workers() -> Self {
        let stage = Self::new().await;
        for kind in ["builder", "deployer"] {
            stage.heartbeat(kind).await;
        }
        stage
    }

    async fn heartbeat(&self, kind: &str) {
        let heartbeat = Heartbeat {
            hostname: WORKER.to_owned(),
            kind: kind.to_owned(),
            status: "active".to_owned(),
            workload: Vec::new(),
        };
        self.manager.store().modules().heartbeat(&heartbeat, None).await.expect("registered");
    }

    fn pass(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    async fn created(&self, more: Value) -> WorkflowId {
        let mut body = json!({"deployment_repo": "acme/shop", "milestones": ["config", "deploy"]});
        let fields = body.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        let path = self.manager.workflow(body).await;
        path.trim_start_matches("/workflows/").parse().expect("an id")
    }

    async fn executed(&self, more: Value) -> WorkflowId {
        let id = self.created(more).await;
        self.manager.post(&format!("/workflows/{id}/execute"), json!({})).await.expect_status(202);
        id
    }

    async fn apply(&self, id: WorkflowId, event: Event) {
        self.manager.store().journal().apply(id, event).await.expect("applied");
    }

    /// News of the live attempt.
    async fn report(&self, id: WorkflowId, news: StepNews) {
        let state = self.manager.store().journal().load(id).await.expect("read").expect("there");
        let step = state.live.expect("an attempt is in flight").key(id);
        let report = StepReport { step, worker: WORKER.to_owned(), at_ms: 0, news };
        self.apply(id, Event::StepReport(report)).await;
    }

    async fn fail(&self, id: WorkflowId, code: FailureCode, retryable: bool) {
        let failure = StepFailure {
            message: "it cannot be done\nits last line".to_owned(),
            hint: Some("do it otherwise".to_owned()),
            retryable,
            code,
        };
        self.report(id, StepNews::Failed { failure }).await;
    }

    async fn configured(&self, id: WorkflowId) {
        let options = vec![UnitOption::new("Service", "ExecStart", "/bin/app")];
        let output = ConfigOutput {
            etcd_token: Some(EtcdToken::new("east").expect("a token")),
            units: vec![Unit::new("app@.service", options)],
            fleet_config: Default::default(),
            source_commit: None,
            source_repo: None,
            deployment_commit: "c0ffee".to_owned(),
            pushed: false,
        };
        self.report(id, StepNews::Succeeded { output: StepOutput::Config(Box::new(output)) }).await;
    }

    /// Ids of the messages that have not left the outbox.
    async fn mail(&self) -> Vec<String> {
        let waiting = self.manager.store().outbox().waiting(10).await.expect("read");
        waiting.into_iter().map(|message| message.id).collect()
    }

    async fn why(&self, id: WorkflowId, code: &str, words: &[&str]) -> oa_api::Finding {
        only(&self.manager, &format!("/workflows/{id}/why"), code, words).await
    }
}

#[tokio::test]
async fn a_workflow_that_nobody_executed_says_the_command_that_does() {
    let stage = Stage::new().await;
    let id = stage.created(json!({})).await;
    let finding = stage.why(id, "not_started", &[&format!("oa workflow execute {id}")]).await;
    assert_eq!((finding.owner.as_str(), finding.evidence.event_version), ("you", Some(1)));
}

#[tokio::test]
async fn a_scheduled_workflow_says_when_it_starts() {
    let stage = Stage::new().await;
    let time = json!({"milestones": ["scheduled", "config"], "scheduled_start_time": "Fri, 15 Jan 2027 09:00:00 UTC"});
    let id = stage.executed(time).await;
    stage.why(id, "start_time", &["2027-01-15T09:00:00Z", "by itself in 1 h 0 min"]).await;
}

#[tokio::test]
async fn a_step_that_nobody_can_do_names_the_component_that_is_missing() {
    let stage = Stage::new().await;
    let id = stage.executed(json!({})).await;
    let finding = stage.why(id, "no_worker", &["`config` needs builder", "components"]).await;
    assert_eq!((finding.owner.as_str(), finding.state.as_str()), ("you", "waiting"));
    assert!(finding.evidence.attempt_id.is_some() && finding.evidence.message_id.is_some());
}

#[tokio::test]
async fn a_command_on_its_way_says_why_it_has_not_arrived_and_when_it_is_tried_next() {
    let stage = Stage::with_workers().await;
    let id = stage.executed(json!({})).await;
    stage.why(id, "not_handed_over", &["on its way"]).await;
    let outbox = stage.manager.store().outbox();
    let at_ms = stage.now_ms.load(Ordering::SeqCst) + 9_000;
    outbox
        .postpone(stage.mail().await.remove(0), at_ms, "no room".into())
        .await
        .expect("postponed");
    let finding = stage.why(id, "not_handed_over", &["no room", "again by itself in 9 s"]).await;
    assert_eq!(finding.owner, "relay");
}

#[tokio::test]
async fn a_command_that_was_set_aside_says_why_and_that_it_is_sent_again() {
    let stage = Stage::with_workers().await;
    let id = stage.executed(json!({})).await;
    let outbox = stage.manager.store().outbox();
    outbox.park(stage.mail().await.remove(0), "no mailbox `builder`".into()).await.expect("parked");
    stage
        .why(id, "message_parked", &["no mailbox `builder`", "sent again by itself in 5 min"])
        .await;
}

#[tokio::test]
async fn a_command_that_the_worker_has_and_has_not_begun_with_says_so() {
    let stage = Stage::with_workers().await;
    let id = stage.executed(json!({})).await;
    stage.manager.store().outbox().sent(stage.mail().await).await.expect("sent");
    let finding = stage.why(id, "not_taken", &["builder has the command", "in 5 min"]).await;
    assert_eq!(finding.owner, "builder");
}

#[tokio::test]
async fn a_step_in_hand_says_whose_hand_and_then_what_it_waits_for() {
    let stage = Stage::with_workers().await;
    let id = stage.executed(json!({})).await;
    stage.report(id, StepNews::Accepted).await;
    let finding = stage.why(id, "in_hand", &["node `build-1` has `config` in hand"]).await;
    assert_eq!(finding.state, "running");

    let waiting_for = Some("the lock of the repository".to_owned());
    stage.report(id, StepNews::Progress { message: "waiting".into(), waiting_for }).await;
    let finding = stage.why(id, "step_waits", &["`config` waits for the lock"]).await;
    assert_eq!((finding.owner.as_str(), finding.state.as_str()), ("builder", "waiting"));
}

#[tokio::test]
async fn a_worker_without_heartbeats_is_named_with_the_time_at_which_its_attempt_counts_as_lost() {
    let stage = Stage::with_workers().await;
    let id = stage.executed(json!({})).await;
    stage.report(id, StepNews::Accepted).await;
    stage.pass(2 * MINUTE_MS);
    stage.why(id, "worker_silent", &["build-1", "counts as lost in 13 min"]).await;
}

#[tokio::test]
async fn a_failure_that_may_pass_says_when_the_next_attempt_comes() {
    let stage = Stage::with_workers().await;
    let id = stage.executed(json!({})).await;
    stage.fail(id, FailureCode::RepositoryUnreachable, true).await;
    let finding = stage
        .why(id, "next_attempt", &["it cannot be done", "attempt 2 of 5 begins by itself in 1 s"])
        .await;
    assert_eq!(finding.owner, "workflow_orchestrator");
    assert!(finding.evidence.attempt_id.is_some());
}

#[tokio::test]
async fn a_workflow_that_waits_for_another_one_names_it() {
    let stage = Stage::with_workers().await;
    let (first, second) = (stage.executed(json!({})).await, stage.executed(json!({})).await);
    stage.configured(first).await;
    stage.configured(second).await;
    stage
        .why(second, "target_busy", &[&first.to_string(), "east/app", &format!("oa why {first}")])
        .await;
}

#[tokio::test]
async fn a_cancelled_workflow_names_who_did_it_and_why() {
    let stage = Stage::new().await;
    let id = stage.executed(json!({})).await;
    let reason = json!({"reason": "wrong branch"});
    stage.manager.post(&format!("/workflows/{id}/cancel"), reason).await.expect_status(202);
    let finding = stage.why(id, "cancelled", &["cancelled by admin: wrong branch"]).await;
    assert_eq!(finding.owner, "nobody");
}

#[tokio::test]
async fn a_worker_that_is_lost_again_and_again_ends_the_workflow() {
    let stage = Stage::with_workers().await;
    let id = stage.executed(json!({})).await;
    loop {
        let state = stage.manager.store().journal().load(id).await.expect("read").expect("there");
        let Some(live) = state.live else { break };
        stage.apply(id, Event::AttemptLost { attempt_id: live.id }).await;
        stage.pass(MINUTE_MS);
        stage.apply(id, Event::TimerFired(TimerKind::Retry)).await;
    }
    stage
        .why(id, "attempt_lost", &["gave up after 5 attempts", "check that the worker runs"])
        .await;
}

#[tokio::test]
async fn a_workflow_beyond_its_time_says_so() {
    let stage = Stage::with_workers().await;
    let id = stage.executed(json!({})).await;
    stage.pass(DAY_MS + 1);
    stage.apply(id, Event::TimerFired(TimerKind::Deadline)).await;
    stage.why(id, "deadline_passed", &["did not finish within its time"]).await;
}

#[tokio::test]
async fn a_plan_that_lacks_something_says_what() {
    let stage = Stage::with_workers().await;
    let id = stage.executed(json!({"deployment_repo": null})).await;
    stage.why(id, "plan_incomplete", &["no deployment repository"]).await;
}

/// Failures that only a broken machine, a lost race or a silent network makes: the journal is told of them as a worker
/// would. The others are made by real workers, in the stories on the whole system.
#[tokio::test]
async fn a_failure_that_a_worker_reports_keeps_its_reason_its_lines_and_its_hint() {
    let stage = Stage::with_workers().await;
    for (code, word) in [
        (FailureCode::RepositoryUnreachable, "repository_unreachable"),
        (FailureCode::GitUnusable, "git_unusable"),
        (FailureCode::ClusterSilent, "cluster_silent"),
        (FailureCode::NoPort, "no_port"),
        (FailureCode::Superseded, "superseded"),
        (FailureCode::TimeOver, "time_over"),
        (FailureCode::WorkerFailed, "worker_failed"),
        (FailureCode::Other, "step_failed"),
    ] {
        let id = stage.executed(json!({})).await;
        stage.fail(id, code, false).await;
        let words = ["`config` failed: it cannot be done", "do it otherwise", "its last line"];
        let finding = stage.why(id, word, &words).await;
        assert_eq!(finding.state, "failed");
        assert_eq!(finding.evidence.log_lines, ["its last line"]);
        let shown = stage.manager.get(&format!("/workflows/{id}")).await.json();
        assert_eq!(shown["failure"]["code"].as_str(), code.as_str(), "{shown}");
    }
}

#[tokio::test]
async fn a_workflow_that_succeeded_waits_for_nothing() {
    let stage = Stage::with_workers().await;
    let id = stage.executed(json!({"milestones": ["config"]})).await;
    stage.configured(id).await;
    assert_eq!(findings(&stage.manager, &format!("/workflows/{id}/why")).await, []);
}

#[tokio::test]
async fn the_node_tells_of_what_waits_and_of_the_last_failure_of_a_repository_only() {
    let stage = Stage::with_workers().await;
    let earlier = stage.executed(json!({})).await;
    stage.fail(earlier, FailureCode::FileMissing, false).await;
    let later = stage.executed(json!({})).await;
    stage.fail(later, FailureCode::FileInvalid, false).await;
    let other = stage.executed(json!({"deployment_repo": "acme/other"})).await;
    stage.report(other, StepNews::Accepted).await;

    let found = findings(&stage.manager, "/why").await;
    assert_eq!(
        found.len(),
        1,
        "what is in hand and what was tried again needs no look: {found:#?}"
    );
    check(&found[0], "file_invalid", &[]);
    assert!(found[0].subject.contains(&later.to_string()));
}
