//! The database keeps exactly what the state machine decided.

use std::collections::BTreeMap;

use oa_protocol::step::{StepFailure, StepKey, StepNews};
use oa_protocol::{AttemptId, FailureCode, WorkflowId};
use oa_store::workflow::{Target, TargetView, step};
use oa_store::{Applied, Event, Status, TimerKind, WorkflowState};

use crate::support::{Site, cancel, configured, deployed, execute, report};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn event(dice: &mut Dice, state: &WorkflowState) -> Event {
    let stranger = StepKey {
        workflow_id: state.id,
        seq: 0,
        attempt_id: AttemptId::new(),
        attempt_no: 1,
        epoch: 1,
    };
    let key = state.live.as_ref().map_or(stranger, |live| live.key(state.id));
    let failure = |retryable| StepNews::Failed {
        failure: StepFailure {
            message: "git does not answer".into(),
            hint: Some("wait".into()),
            retryable,
            code: FailureCode::RepositoryUnreachable,
        },
    };
    match dice.roll(24) {
        0..=5 => execute(),
        6..=7 => report(key, StepNews::Accepted),
        8..=9 => {
            let waiting_for = (dice.roll(2) == 0).then(|| "a lock".to_owned());
            report(key, StepNews::Progress { message: "cloning".into(), waiting_for })
        }
        10..=12 => report(key, configured(&format!("app{}", dice.roll(2)))),
        13..=15 => report(key, deployed()),
        16..=17 => report(key, failure(true)),
        18 => report(key, failure(false)),
        19 => Event::AttemptLost { attempt_id: key.attempt_id },
        20 => cancel(),
        at => Event::TimerFired(TimerKind::ALL[(at - 20) as usize % 4]),
    }
}

async fn load(site: &Site, id: WorkflowId) -> WorkflowState {
    site.store.journal().load(id).await.expect("readable").expect("it is there")
}

/// The open and past claims, from the database.
async fn views(site: &Site) -> BTreeMap<Target, TargetView> {
    let mut views: BTreeMap<Target, TargetView> = BTreeMap::new();
    let rows = site
        .rows("SELECT target, generation, workflow_id, released_at_ms FROM target_claims", |row| {
            let target: String = row.try_get("", "target").expect("text");
            let generation: i64 = row.try_get("", "generation").expect("a number");
            let holder: String = row.try_get("", "workflow_id").expect("text");
            let released: Option<i64> = row.try_get("", "released_at_ms").expect("a number");
            (target, generation, holder, released)
        })
        .await;
    for (target, generation, holder, released) in rows {
        let view = views.entry(Target::from(target)).or_default();
        view.generation = view.generation.max(generation.unsigned_abs());
        if released.is_none() {
            view.holder = Some(holder.parse().expect("an id"));
        }
    }
    views
}

#[tokio::test]
async fn what_is_loaded_is_what_was_decided_whatever_happens() {
    let site = Site::open().await;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let plans = [
        &["config", "deploy"][..],
        &["scheduled", "deploy"],
        &["config", "deploy", "config", "deploy_oa"],
    ];
    let (mut all, mut playing) = (Vec::new(), Vec::new());
    let (mut changed, mut waited) = (0, 0);
    for round in 0..600 {
        while playing.len() < 8 {
            playing.push(site.workflow(plans[all.len() % plans.len()]).await);
            all.push(playing[playing.len() - 1]);
        }
        site.pass(dice.roll(40_000).cast_signed());
        let seat = dice.roll(playing.len() as u64) as usize;
        let id = playing[seat];
        let before = WorkflowState { targets: views(&site).await, ..load(&site, id).await };
        let event = event(&mut dice, &before);
        let decided = step(&before, &event, site.now_ms());
        let applied = site.apply(id, event).await;
        let after = load(&site, id).await;
        match decided {
            Ok(plan) => {
                changed += 1;
                let status = plan.next.status;
                assert_eq!(applied, Applied::Changed { version: plan.next.version, status });
                let next = WorkflowState { targets: BTreeMap::new(), ..plan.next };
                assert_eq!(after, next);
            }
            Err(why) => {
                assert_eq!(applied, Applied::Ignored(why));
                assert_eq!(after, WorkflowState { targets: BTreeMap::new(), ..before });
            }
        }
        assert_eq!(site.offenders().await, 0, "round {round}");
        waited += usize::from(after.status == Status::Waiting);
        if after.status.is_finished() {
            playing.swap_remove(seat);
        }
    }
    assert!(changed > 200 && waited > 5, "{changed} events changed something, {waited} waited");
    for id in all {
        site.check_journal(id).await;
    }
}
