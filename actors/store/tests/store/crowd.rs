//! Many workflows at once.

use std::collections::BTreeSet;

use crate::support::{Sent, Site, configured, deployed, execute, report};
use futures_util::future::join_all;
use oa_protocol::WorkflowId;
use oa_store::{Applied, Status};

const CROWD: usize = 200;

/// Each report arrives twice, at the same time; one of the two counts.
async fn report_twice(
    site: &Site,
    id: WorkflowId,
    message: String,
    news: oa_protocol::step::StepNews,
) {
    let event = report(site.live_key(id).await, news);
    let journal = site.store.journal();
    let (a, b) = tokio::join!(
        journal.apply_message(&message, id, event.clone()),
        journal.apply_message(&message, id, event)
    );
    let answers = [a.expect("applied"), b.expect("applied")];
    assert_eq!(
        answers.iter().filter(|answer| **answer == Applied::Duplicate).count(),
        1,
        "{answers:?}"
    );
}

async fn created(site: &Site) -> Vec<WorkflowId> {
    join_all((0..CROWD).map(|_| site.workflow(&["config", "deploy"]))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_workflows_run_side_by_side_through_a_restart() {
    let site = Site::open().await;
    let ids = created(&site).await;
    join_all(ids.iter().map(|id| site.apply(*id, execute()))).await;
    join_all(ids.iter().enumerate().map(|(at, id)| {
        report_twice(&site, *id, format!("config-{at}"), configured(&format!("app{at}")))
    }))
    .await;
    assert_eq!(site.live_attempts().await.len(), CROWD);
    let site = site.restart().await;
    join_all(
        ids.iter()
            .enumerate()
            .map(|(at, id)| report_twice(&site, *id, format!("deploy-{at}"), deployed())),
    )
    .await;

    for id in &ids {
        assert_eq!(site.status(*id).await, Status::Succeeded);
        site.check_journal(*id).await;
    }
    let sent = site.sent().await;
    let keys: BTreeSet<String> = sent
        .iter()
        .map(|sent| match sent {
            Sent::Config(command) => command.step.attempt_id.to_string(),
            Sent::Deploy(command) => command.step.attempt_id.to_string(),
            Sent::Cancel(_) => panic!("nothing was cancelled"),
        })
        .collect();
    assert_eq!((sent.len(), keys.len()), (2 * CROWD, 2 * CROWD), "one command for each attempt");
    assert_eq!((site.offenders().await, site.live_attempts().await.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_rollouts_of_one_unit_go_one_after_another() {
    let site = Site::open().await;
    let ids = created(&site).await;
    join_all(ids.iter().map(|id| site.apply(*id, execute()))).await;
    join_all(
        ids.iter()
            .enumerate()
            .map(|(at, id)| report_twice(&site, *id, format!("config-{at}"), configured("app"))),
    )
    .await;
    let mut order = Vec::new();
    for turn in 0..CROWD {
        let live = site.live_attempts().await;
        assert_eq!(live.len(), 1, "one rollout at a time, turn {turn}");
        assert_eq!(site.offenders().await, 0);
        let id: WorkflowId = live.into_keys().next().expect("one").parse().expect("an id");
        site.pass(1);
        report_twice(&site, id, format!("deploy-{turn}"), deployed()).await;
        order.push(id);
    }
    assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), CROWD, "each had its turn");
    let generations: Vec<i64> = site
        .rows("SELECT generation FROM target_claims ORDER BY claimed_at_ms, generation", |row| {
            row.try_get("", "generation").expect("a number")
        })
        .await;
    assert_eq!(
        generations,
        (1..=CROWD as i64).collect::<Vec<_>>(),
        "generations rise without a gap"
    );
    for id in ids {
        let record = site.get(id).await;
        assert_eq!(record.status, Status::Succeeded);
        assert!(record.version <= 5, "waiting in a queue writes nothing, however long it is");
        site.check_journal(id).await;
    }
}
