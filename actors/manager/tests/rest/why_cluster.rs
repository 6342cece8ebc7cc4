//! `GET /clusters/:etcd_token/why` and its units, with a FleetManager that answers from a script.

use oa_protocol::RefusalCode;

use crate::fleet::{Script, ScriptedFleet};
use crate::manager::TestManager;
use crate::why::{findings, only};

const CLUSTER: &str = "/clusters/east/why";
const UNIT: &str = "/clusters/east/units/app@0.service/why";

async fn manager_with_cluster() -> TestManager {
    let manager = TestManager::start().await;
    manager.cluster("east").await;
    manager
}

#[tokio::test]
async fn a_cluster_that_cannot_be_asked_says_who_is_missing() {
    let manager = manager_with_cluster().await;
    only(&manager, CLUSTER, "no_fleet_manager", &["fleet_manager"]).await;
    for (code, word) in
        [(RefusalCode::Unavailable, "cluster_silent"), (RefusalCode::NotFound, "cluster_unknown")]
    {
        let manager = manager_with_cluster().await;
        let _fleet = ScriptedFleet::serve(&manager, Script::Refuse(code)).await;
        only(&manager, CLUSTER, word, &["cluster `east` is resting"]).await;
    }
    let manager = manager_with_cluster().await;
    let _fleet = ScriptedFleet::serve(&manager, Script::Empty).await;
    only(&manager, CLUSTER, "no_machine", &["no machine"]).await;
}

#[tokio::test]
async fn a_cluster_whose_units_run_has_nothing_to_say() {
    let manager = manager_with_cluster().await;
    let _fleet = ScriptedFleet::serve(&manager, Script::Answer).await;
    assert_eq!(findings(&manager, CLUSTER).await, []);
    assert_eq!(findings(&manager, UNIT).await, []);
}

#[tokio::test]
async fn a_unit_of_a_real_fleet_is_explained_by_its_state_alone() {
    for (active, sub, code) in [
        ("failed", "failed", "unit_failed"),
        ("activating", "auto-restart", "restart_wait"),
        ("activating", "start-pre", "unit_starting"),
        ("deactivating", "stop-sigterm", "unit_stopping"),
        ("inactive", "dead", "unit_ended"),
    ] {
        let manager = manager_with_cluster().await;
        let _fleet = ScriptedFleet::serve(&manager, Script::State { active, sub }).await;
        let finding = only(&manager, UNIT, code, &[]).await;
        assert!(finding.state.starts_with(active), "{finding:#?}");
        assert_eq!(findings(&manager, CLUSTER).await, std::slice::from_ref(&finding));
        assert!(findings(&manager, "/why").await.contains(&finding));
    }
}
