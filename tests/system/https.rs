//! Repositories that are reached over https, at the real `git http-backend`.

use oa_api::NewWorkflow;
use oa_test_services::https::HttpsGitServer;
use oa_test_services::node::NodeHome;

use crate::stage::{Hello, client_of, deployed, finished, start};

/// `x-access-token:secret`, as forges take access tokens.
const AUTHORIZATION: &str = "Basic eC1hY2Nlc3MtdG9rZW46c2VjcmV0";

async fn over_https(hello: &Hello) -> (HttpsGitServer, NewWorkflow) {
    let path = hello.deployment.path();
    let root = path.parent().expect("a repository lies in a directory");
    let server = HttpsGitServer::start(root, AUTHORIZATION).await;
    let workflow = NewWorkflow {
        deployment_repo: Some(format!("https://{}/bare.git", server.address())),
        ..hello.workflow()
    };
    (server, workflow)
}

#[tokio::test]
async fn a_deployment_repository_is_fetched_and_pushed_over_https_with_a_token() {
    let hello = Hello::new();
    let (server, workflow) = over_https(&hello).await;
    let token = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(token.path(), "secret\n").expect("a writable file");
    let home = NodeHome::new().with_argument("--stop-units").with_config(&format!(
        "[builder]\nhttps_ca_file = \"{}\"\nhttps_tokens = {{ \"{}\" = \"{}\" }}\n",
        server.certificate().display(),
        server.address().ip(),
        token.path().display()
    ));
    let node = home.start().await;

    let done = deployed(&home, &client_of(&node), &workflow).await;

    assert_eq!(done.deployed_units().len(), 2);
    assert_eq!(hello.deployment.commits(), 2, "the rendered unit was pushed");
    assert!(!home.log().contains("secret"), "the token is not in the log");
    node.stop().await;
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused() {
    let hello = Hello::new();
    let (_server, workflow) = over_https(&hello).await;
    let home = NodeHome::new();
    let node = home.start().await;
    let client = client_of(&node);

    let id = start(&client, &workflow).await;
    let failed = finished(&home, &client, &id).await;

    assert_eq!(failed.workflow_error, Some(true), "{failed:#?}");
    let failure = failed.failure.expect("a failure says why");
    assert!(failure.message.contains("is not trusted"), "{failure:?}");
    node.stop().await;
}
