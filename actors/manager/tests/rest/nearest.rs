//! Names that are slightly wrong get the nearest ones as a hint, so that whoever uses `curl` sees them, too.

use serde_json::json;

use crate::fleet::{Script, ScriptedFleet};
use crate::manager::TestManager;

/// The hint of a 404 or 400.
async fn hint(manager: &TestManager, path: &str) -> String {
    let answer = manager.get(path).await;
    assert!(matches!(answer.status, 404 | 400), "{path}: {}", answer.body);
    answer.json()["hint"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn clusters_and_units_that_were_mistyped_are_suggested() {
    let manager = TestManager::start().await;
    manager.cluster("east").await;
    let _fleet = ScriptedFleet::serve(&manager, Script::Answer).await;
    assert_eq!(hint(&manager, "/clusters/eats").await, "did you mean `east`?");
    assert_eq!(hint(&manager, "/clusters/eats/units").await, "did you mean `east`?");
    assert_eq!(hint(&manager, "/clusters/nowhere").await, "");
    let unit = "/clusters/east/units/ap@0.service/why";
    assert_eq!(hint(&manager, unit).await, "did you mean `app@0.service`?");
}

#[tokio::test]
async fn an_id_that_was_mistyped_is_suggested() {
    let manager = TestManager::start().await;
    let path = manager.workflow(json!({"deployment_repo": "acme/shop"})).await;
    let id = path.trim_start_matches("/workflows/");
    let mut typed = id.to_owned();
    let last = typed.pop().expect("an id is not empty");
    typed.push(if last == '0' { '1' } else { '0' });
    for route in ["", "/why", "/events"] {
        let wanted = format!("did you mean `{id}`?");
        assert_eq!(hint(&manager, &format!("/workflows/{typed}{route}")).await, wanted);
        assert_eq!(hint(&manager, &format!("/workflows/{}{route}", &id[..20])).await, wanted);
    }
}

#[tokio::test]
async fn a_milestone_that_was_mistyped_is_suggested() {
    let manager = TestManager::start().await;
    let body = json!({"deployment_repo": "acme/shop", "milestones": ["confg", "deploy"]});
    let answer = manager.post("/workflows", body).await.expect_status(400);
    let hint = answer.json()["hint"].as_str().unwrap_or_default().to_owned();
    assert_eq!(hint, "milestones: did you mean `config`?", "{}", answer.body);
}
