//! What a host and a keeper say to one another, a line each.
//!
//! Keepers outlive nodes, so the two may be of different releases, either being the older one:
//!
//! - fields are only added, each with a default; what is not known is passed over
//! - a command that a keeper does not know changes nothing
//! - the version grows with each change, so that a host can say that a keeper is newer than itself
//!
//! `golden/control.jsonl` holds each message as it was first released.

use serde::{Deserialize, Serialize};

use super::status::Status;
use crate::output::OutputState;

/// The version that this release speaks.
pub(crate) const VERSION: u32 = 2;
/// Longest line that either side reads.
pub(crate) const LONGEST_LINE: u64 = 64 * 1024;

/// What a keeper says: at each change, and whenever it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Said {
    #[serde(default)]
    pub(crate) version: u32,
    #[serde(flatten)]
    pub(crate) status: Status,
    #[serde(default)]
    pub(crate) output: OutputState,
}

/// What a host says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Stop the unit, then end.
    Stop,
    /// Say how it is: whoever answers is not stuck.
    Say,
    /// Let the unit read its configuration again.
    Reload,
}

impl Command {
    /// The line, with its end.
    pub(crate) fn line(self) -> &'static str {
        match self {
            Self::Stop => "stop\n",
            Self::Say => "say\n",
            Self::Reload => "reload\n",
        }
    }

    /// The command that a line without its end is; `None` if this release does not know it.
    pub(super) fn parse(line: &str) -> Option<Self> {
        [Self::Stop, Self::Say, Self::Reload]
            .into_iter()
            .find(|command| command.line().trim_end() == line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::Phase;

    const GOLDEN: &str = include_str!("../../golden/control.jsonl");

    #[test]
    fn every_message_of_an_earlier_release_is_understood() {
        let lines: Vec<&str> = GOLDEN.lines().collect();
        let said: Vec<Said> = lines
            .iter()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).expect("a status"))
            .collect();
        assert_eq!(said[0].status.phase, Phase::Running);
        assert_eq!(said[0].status.process.as_ref().map(|process| process.pid), Some(4711));
        assert_eq!(said[1].status.last_exit.as_deref(), Some("exit status: 1"));
        // Whatever is added since: an earlier release still finds all that it reads.
        for (one, line) in said.iter().zip(&lines) {
            let then: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let now = serde_json::to_value(one).expect("plain data");
            for (field, value) in then.as_object().expect("fields") {
                assert_eq!(now.get(field), Some(value), "{field}");
            }
        }
        let commands: Vec<&str> = [Command::Stop, Command::Say, Command::Reload]
            .iter()
            .map(|one| one.line().trim_end())
            .collect();
        assert_eq!(commands, lines[said.len()..], "what this release asks");
    }

    #[test]
    fn what_a_later_release_adds_is_passed_over() {
        let line = GOLDEN.lines().next().expect("a status");
        let mut value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        value["version"] = 99.into();
        value["phase"] = "Hibernating".into();
        value["weather"] = serde_json::json!({"rain": true});
        value["output"]["colour"] = "blue".into();
        let said: Said = serde_json::from_value(value).expect("a status");
        assert_eq!((said.version, said.status.phase), (99, Phase::Unknown));
        assert_eq!(Command::parse("hibernate"), None);
    }

    #[test]
    fn what_an_earlier_release_left_out_has_a_default() {
        let line = r#"{"hash":"abc","launch":7,"phase":"Running"}"#;
        let said: Said = serde_json::from_str(line).expect("a status");
        assert_eq!((said.version, said.status.launch, said.status.starts), (0, 7, 0));
        assert_eq!(said.output, OutputState::default());
    }
}
