//! Repositories that are reached over ssh, at a real server.

use oa_api::NewWorkflow;
use oa_test_services::node::NodeHome;
use oa_test_services::sshd::SshAccess;

use crate::stage::{Hello, client_of, deployed, finished, start};

fn over_ssh(hello: &Hello, ssh: &SshAccess) -> NewWorkflow {
    let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
    let url = format!("ssh://{user}@127.0.0.1:{}{}", ssh.port, hello.deployment.path().display());
    NewWorkflow { deployment_repo: Some(url), ..hello.workflow() }
}

#[tokio::test]
async fn a_deployment_repository_is_fetched_and_pushed_over_ssh() {
    let (ssh, hello) = (SshAccess::from_environment(), Hello::new());
    let home = NodeHome::new().with_argument("--stop-units").with_config(&format!(
        "[builder]\nssh_identity = \"{}\"\nssh_known_hosts = \"{}\"\n",
        ssh.identity.display(),
        ssh.known_hosts.display()
    ));
    let node = home.start().await;

    let done = deployed(&home, &client_of(&node), &over_ssh(&hello, &ssh)).await;

    assert_eq!(done.deployed_units().len(), 2);
    assert_eq!(hello.deployment.commits(), 2, "the rendered unit was pushed");
    node.stop().await;
}

#[tokio::test]
async fn a_server_whose_key_is_not_known_is_refused() {
    let (ssh, hello) = (SshAccess::from_environment(), Hello::new());
    let home = NodeHome::new().with_config(&format!(
        "[builder]\nssh_identity = \"{}\"\nssh_known_hosts = \"/dev/null\"\n",
        ssh.identity.display()
    ));
    let node = home.start().await;
    let client = client_of(&node);

    let id = start(&client, &over_ssh(&hello, &ssh)).await;
    let failed = finished(&home, &client, &id).await;

    assert_eq!(failed.workflow_error, Some(true), "{failed:#?}");
    node.stop().await;
}
