//! The steps that a workflow may list.

use std::fmt;
use std::str::FromStr;

/// Most milestones that one workflow may list.
pub const MAX_MILESTONES: usize = 32;

/// One step of a workflow's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Milestone {
    /// Waits for the workflow's start time; must be first.
    Scheduled,
    /// The Builder renders and reads the deployment repository.
    Config,
    /// The Deployer brings the units to their cluster.
    Deploy,
    /// As `deploy`, by the Deployer that upgrades OpenAperture itself.
    DeployOa,
}

/// Why a list of milestones is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MilestoneError {
    /// Nobody knows it.
    #[error("`{name}` at position {position} is not a milestone; allowed are {}", allowed())]
    Unknown {
        /// What was listed, cut to 80 characters.
        name: String,
        /// Where, from 1.
        position: usize,
    },
    /// The original knows it, this release does not.
    #[error("milestone `{name}` is not possible in this release; allowed are {}", allowed())]
    NotPossible {
        /// What was listed.
        name: String,
    },
    /// It must be the first.
    #[error(
        "`scheduled` is at position {position}; it must be the first milestone and listed once"
    )]
    ScheduledNotFirst {
        /// Where, from 1.
        position: usize,
    },
    /// It needs a time.
    #[error("`scheduled` needs a `scheduled_start_time`")]
    NoStartTime,
    /// It needs what another one produces.
    #[error("`{milestone}` at position {position} needs `config` before it")]
    NeedsConfig {
        /// Which one.
        milestone: Milestone,
        /// Where, from 1.
        position: usize,
    },
    /// Too many.
    #[error("{count} milestones are listed; at most {MAX_MILESTONES} are allowed")]
    TooMany {
        /// How many.
        count: usize,
    },
}

/// Milestones of the original that need a part which this release does not have.
const NOT_YET: [&str; 2] = ["build", "deploy_ecs"];

impl Milestone {
    /// Every milestone.
    pub const ALL: [Self; 4] = [Self::Scheduled, Self::Config, Self::Deploy, Self::DeployOa];

    /// Its name in lists, in the database and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Config => "config",
            Self::Deploy => "deploy",
            Self::DeployOa => "deploy_oa",
        }
    }

    /// Whether it brings units to a cluster.
    #[must_use]
    pub fn is_deploy(self) -> bool {
        matches!(self, Self::Deploy | Self::DeployOa)
    }
}

impl fmt::Display for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Milestone {
    type Err = MilestoneError;

    fn from_str(text: &str) -> Result<Self, MilestoneError> {
        parse_at(text, 1)
    }
}

/// Reads a list as a client sends it with a new workflow.
///
/// `config` is added if neither `build` nor `config` is listed: at the front, but after `scheduled`.
///
/// # Errors
///
/// [`MilestoneError`] with what is wrong and what is allowed.
pub fn plan_milestones(
    listed: &[String],
    has_start_time: bool,
) -> Result<Vec<Milestone>, MilestoneError> {
    let mut milestones = parse(listed)?;
    if !milestones.contains(&Milestone::Config) {
        let at = usize::from(milestones.first() == Some(&Milestone::Scheduled));
        milestones.insert(at, Milestone::Config);
    }
    check(&milestones, has_start_time)?;
    Ok(milestones)
}

/// Reads a list as a client sends it for a workflow that is there: nothing is added.
///
/// # Errors
///
/// [`MilestoneError`] with what is wrong and what is allowed.
pub fn check_milestones(
    listed: &[String],
    has_start_time: bool,
) -> Result<Vec<Milestone>, MilestoneError> {
    let milestones = parse(listed)?;
    check(&milestones, has_start_time)?;
    Ok(milestones)
}

fn parse(listed: &[String]) -> Result<Vec<Milestone>, MilestoneError> {
    if listed.len() > MAX_MILESTONES {
        return Err(MilestoneError::TooMany { count: listed.len() });
    }
    listed.iter().enumerate().map(|(index, name)| parse_at(name, index + 1)).collect()
}

fn parse_at(name: &str, position: usize) -> Result<Milestone, MilestoneError> {
    if let Some(known) = Milestone::ALL.into_iter().find(|milestone| milestone.as_str() == name) {
        return Ok(known);
    }
    if NOT_YET.contains(&name) {
        return Err(MilestoneError::NotPossible { name: name.to_owned() });
    }
    Err(MilestoneError::Unknown {
        name: name.chars().take(80).flat_map(char::escape_default).collect(),
        position,
    })
}

fn check(milestones: &[Milestone], has_start_time: bool) -> Result<(), MilestoneError> {
    let mut configured = false;
    for (index, &milestone) in milestones.iter().enumerate() {
        let position = index + 1;
        match milestone {
            Milestone::Scheduled if index > 0 => {
                return Err(MilestoneError::ScheduledNotFirst { position });
            }
            Milestone::Scheduled if !has_start_time => return Err(MilestoneError::NoStartTime),
            Milestone::Scheduled => {}
            Milestone::Config => configured = true,
            Milestone::Deploy | Milestone::DeployOa if !configured => {
                return Err(MilestoneError::NeedsConfig { milestone, position });
            }
            Milestone::Deploy | Milestone::DeployOa => {}
        }
    }
    Ok(())
}

fn allowed() -> String {
    let names: Vec<String> =
        Milestone::ALL.iter().map(|milestone| format!("`{milestone}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(listed: &[&str]) -> Result<Vec<Milestone>, MilestoneError> {
        let listed: Vec<String> = listed.iter().map(|&name| name.to_owned()).collect();
        plan_milestones(&listed, true)
    }

    #[test]
    fn config_is_put_in_front_but_after_scheduled() {
        assert_eq!(plan(&["deploy"]), Ok(vec![Milestone::Config, Milestone::Deploy]));
        assert_eq!(
            plan(&["scheduled", "deploy_oa"]),
            Ok(vec![Milestone::Scheduled, Milestone::Config, Milestone::DeployOa])
        );
        assert_eq!(plan(&["config", "deploy"]), Ok(vec![Milestone::Config, Milestone::Deploy]));
    }

    #[test]
    fn what_this_release_cannot_do_is_refused_with_what_is_allowed() {
        let refusal = plan(&["build", "deploy"]).expect_err("not possible yet").to_string();
        assert_eq!(
            refusal,
            "milestone `build` is not possible in this release; \
             allowed are `scheduled`, `config`, `deploy`, `deploy_oa`"
        );
        assert!(plan(&["config", "deploy_ecs"]).is_err());
    }

    #[test]
    fn nonsense_is_refused_with_its_position() {
        let refusal = plan(&["config", "dance\n"]).expect_err("not a milestone").to_string();
        assert!(refusal.starts_with("`dance\\n` at position 2 is not a milestone"), "{refusal}");
        assert_eq!(plan(&["config"; 33]), Err(MilestoneError::TooMany { count: 33 }));
    }

    #[test]
    fn order_is_checked() {
        assert_eq!(
            plan(&["config", "scheduled"]),
            Err(MilestoneError::ScheduledNotFirst { position: 2 })
        );
        assert_eq!(
            plan(&["deploy", "config"]),
            Err(MilestoneError::NeedsConfig { milestone: Milestone::Deploy, position: 1 })
        );
        assert_eq!(
            plan_milestones(&["scheduled".to_owned()], false),
            Err(MilestoneError::NoStartTime)
        );
    }
}
