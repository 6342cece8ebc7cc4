//! Hostile repositories, each a named case: how it is built, and what becomes of it.
//!
//! For every case, refused or harmless: only git and its transport run, no program of the repository's; nothing outside of
//! the attempt's directory is changed or read; the directory is gone.

mod files;
mod links;
mod names;
mod objects;
mod programs;
mod refs;
mod stage;
mod urls;

use oa_builder::BuilderConfig;
use oa_protocol::build::ConfigCommand;

use self::stage::Stage;

/// A hostile repository.
pub(crate) struct Case {
    /// What is hostile about it.
    name: &'static str,
    build: fn(&Stage, &mut ConfigCommand),
    expected: Expected,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expected {
    /// The step fails for good, with these words.
    Refused(&'static [&'static str]),
    /// The other side does not take the push, though the objects of it may stay there.
    NotTaken,
    /// The step succeeds, with a push or without.
    Harmless { pushed: bool },
}

const PUSHED: Expected = Expected::Harmless { pushed: true };
const NOT_PUSHED: Expected = Expected::Harmless { pushed: false };

/// Plays every case; all that fail are told together.
async fn play(cases: &[Case]) {
    play_with(cases, |_| {}).await;
}

async fn play_with(cases: &[Case], configure: fn(&mut BuilderConfig)) {
    let mut wrong = Vec::new();
    for Case { name, build, expected } in cases {
        let stage = Stage::new();
        let mut command = stage.command();
        build(&stage, &mut command);
        if let Err(why) = stage.play(&command, *expected, configure).await {
            wrong.push(format!("{name}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
