//! Workflows as REST objects.

use oa_protocol::WorkflowId;
use oa_store::workflow::MilestoneError;
use oa_store::{NewWorkflow, Status, WorkflowError, WorkflowFilter, WorkflowPatch};

use crate::support::{NOON, Sent, Site, execute};

#[tokio::test]
async fn what_was_made_can_be_read_and_does_nothing_yet() {
    let site = Site::open().await;
    let id = site.workflow(&["deploy"]).await;
    let record = site.get(id).await;
    assert_eq!(record.milestones, Some(vec!["config".to_owned(), "deploy".to_owned()]));
    assert_eq!((record.version, record.status, record.events.len()), (1, Status::Created, 1));
    assert_eq!(record.created_by, "ada");
    assert!(site.store.journal().open_workflows().await.expect("an answer").is_empty());
    assert_eq!((site.offenders().await, site.sent().await.len()), (0, 0));
    assert_eq!(site.store.workflows().get(WorkflowId::new()).await.expect("an answer"), None);
}

#[tokio::test]
async fn build_is_refused_with_what_is_allowed() {
    let site = Site::open().await;
    let new = NewWorkflow { milestones: Some(vec!["build".into()]), ..NewWorkflow::default() };
    let refusal = site.store.workflows().create(new).await.expect_err("not possible yet");
    assert!(
        matches!(&refusal, WorkflowError::Milestones(MilestoneError::NotPossible { name }) if name == "build")
    );
    assert_eq!(refusal.field(), Some("milestones"));
    assert!(
        refusal.to_string().contains("allowed are `scheduled`, `config`, `deploy`, `deploy_oa`")
    );
}

#[tokio::test]
async fn a_list_can_be_narrowed_as_in_the_original() {
    let site = Site::open().await;
    let old = site.workflow(&["config"]).await;
    site.pass(2 * 3_600_000);
    let new = site.workflow(&["config"]).await;
    let workflows = site.store.workflows();
    let ids = async |filter: WorkflowFilter| -> Vec<WorkflowId> {
        workflows.list(&filter).await.expect("an answer").iter().map(|record| record.id).collect()
    };
    assert_eq!(ids(WorkflowFilter::default()).await, [old, new]);
    assert_eq!(ids(WorkflowFilter::lookback(0, site.now_ms())).await, [old, new]);
    assert_eq!(ids(WorkflowFilter::lookback(1, site.now_ms())).await, [new]);
    assert_eq!(ids(WorkflowFilter { limit: Some(1), ..WorkflowFilter::default() }).await, [new]);
    let by_source =
        WorkflowFilter { source_repo: Some("acme/shop".into()), ..WorkflowFilter::default() };
    assert_eq!(ids(by_source.clone()).await, [old, new]);
    let by_both = WorkflowFilter { deployment_repo: Some("acme/other".into()), ..by_source };
    assert!(ids(by_both).await.is_empty());
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let site = Site::open().await;
    let id = site.workflow(&["config"]).await;
    let patch = WorkflowPatch {
        source_repo: Some(Some("acme/shop".into())),
        deployment_repo_git_ref: Some(None),
        by: Some("bob".into()),
        expected_version: Some(1),
        ..WorkflowPatch::default()
    };
    assert!(site.store.workflows().update(id, patch.clone()).await.expect("it is possible"));
    let record = site.get(id).await;
    assert_eq!(record.source_repo.as_deref(), Some("acme/shop"));
    assert_eq!(record.deployment_repo.as_deref(), Some("acme/shop_docker"));
    assert_eq!(record.events[1].message, "bob changed source_repo");
    let late = WorkflowPatch { source_repo: Some(None), ..patch };
    let refusal = site.store.workflows().update(id, late).await.expect_err("somebody was faster");
    assert!(matches!(refusal, WorkflowError::VersionConflict { expected: 1, found: 2 }));
    let stranger = site.store.workflows().update(WorkflowId::new(), WorkflowPatch::default()).await;
    assert!(!stranger.expect("an answer"));
    site.check_journal(id).await;
}

#[tokio::test]
async fn what_runs_takes_no_new_plan_but_the_whole_object_may_be_put_back() {
    let site = Site::open().await;
    let id = site.running().await;
    let record = site.get(id).await;
    let same = WorkflowPatch {
        deployment_repo: Some(record.deployment_repo.clone()),
        milestones: Some(record.milestones.clone()),
        ..WorkflowPatch::default()
    };
    assert!(site.store.workflows().update(id, same).await.expect("nothing changes"));
    assert_eq!(site.get(id).await.version, record.version);
    let other =
        WorkflowPatch { milestones: Some(Some(vec!["config".into()])), ..WorkflowPatch::default() };
    let refusal = site.store.workflows().update(id, other).await.expect_err("it runs");
    assert_eq!(refusal.to_string(), "milestones cannot be changed: the workflow is running");
}

#[tokio::test]
async fn the_start_time_of_a_scheduled_workflow_can_be_moved() {
    let site = Site::open().await;
    let id = site.workflow(&["scheduled", "config"]).await;
    site.apply(id, execute()).await;
    let patch = WorkflowPatch {
        scheduled_start_time_ms: Some(Some(NOON + 5000)),
        ..WorkflowPatch::default()
    };
    assert!(site.store.workflows().update(id, patch).await.expect("it is possible"));
    assert_eq!(site.store.journal().next_timer_at().await.expect("an answer"), Some(NOON + 5000));
    let gone = WorkflowPatch { scheduled_start_time_ms: Some(None), ..WorkflowPatch::default() };
    assert!(site.store.workflows().update(id, gone).await.is_err(), "`scheduled` needs a time");
}

#[tokio::test]
async fn deleting_what_runs_cancels_it_and_lets_the_next_one_go_on() {
    let site = Site::open().await;
    let first = site.configured("app").await;
    let second = site.configured("app").await;
    assert!(site.store.workflows().delete(first, "ada").await.expect("it is possible"));
    assert!(!site.store.workflows().delete(first, "ada").await.expect("an answer"), "it is gone");
    assert_eq!(site.status(second).await, Status::Running);
    let sent = site.sent().await;
    assert!(
        sent.iter()
            .any(|sent| matches!(sent, Sent::Cancel(command) if command.step.workflow_id == first))
    );
    let generations: Vec<u64> = sent
        .iter()
        .filter_map(
            |sent| if let Sent::Deploy(deploy) = sent { Some(deploy.generation) } else { None },
        )
        .collect();
    assert_eq!(generations, [1, 2], "generations outlive the workflow");
    assert_eq!(site.offenders().await, 0);
}

#[tokio::test]
async fn a_product_that_is_not_there_is_refused_by_name() {
    let site = Site::open().await;
    let new = NewWorkflow { product_id: Some(7), ..NewWorkflow::default() };
    let refusal = site.store.workflows().create(new).await.expect_err("there is no product");
    assert_eq!(refusal.to_string(), "product_id: there is none with the id 7");
}
