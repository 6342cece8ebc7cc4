//! URLs that are programs, options, or credentials.

use crate::hostile::NOT_PUSHED;
use crate::hostile::stage::Stage;

/// Each is refused in every field that names a repository.
const URLS: [&str; 24] = [
    "ext::canary",
    "ext::sh -c canary% >&2",
    "fd::17",
    "fd::0,1/x",
    "-u./canary",
    "--upload-pack=canary",
    "-oProxyCommand=canary",
    "ssh://-oProxyCommand=canary/x",
    "ssh://x@-oProxyCommand=canary/x",
    "-oProxyCommand=canary:x",
    "x@-oProxyCommand=canary:x",
    "git@host:-x",
    "git@host:--upload-pack=canary",
    "https://user:s3cr3t@host/x",
    "https://s3cr3t@host/x",
    "http://host/x",
    "git://host/x",
    "file://host/x",
    "transport::https://host/x",
    "https://host/x\nhttps://other/y",
    "https://host/../x",
    "/srv/../etc",
    "./x",
    "/tmp/$(canary)",
];

#[tokio::test]
async fn urls_that_are_more_than_a_place_are_refused_by_field() {
    let stage = Stage::new();
    for text in URLS {
        let mut deployment = stage.command();
        deployment.deployment_repo = text.into();
        let mut source = stage.command();
        source.source_repo = Some(text.into());
        for (field, command) in [("deployment_repo:", deployment), ("source_repo:", source)] {
            let workshop = crate::support::Workshop::open().await;
            let message = workshop.refusal(&command).await;
            assert!(message.starts_with(field), "{text:?}: {message}");
            assert!(!message.contains("s3cr3t"), "{message}");
        }
    }
    // The same stage without a hostile URL works, so it is the URL that was refused.
    let mut command = stage.command();
    command.deployment_repo_git_ref = Some(stage.deployment.head());
    stage.play(&command, NOT_PUSHED, |_| {}).await.expect("a plain commit");
}
