//! What can be typed.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::output::Format;

/// Deploys applications and shows what runs.
#[derive(Debug, Parser)]
#[command(
    name = "oa",
    version,
    before_help = EXAMPLES,
    after_help = AFTER_HELP,
    propagate_version = true
)]
pub(crate) struct Cli {
    /// How data is printed: columns, or the REST objects.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// Say more: every event of a workflow, the id of a refused request.
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  oa deploy --repo /srv/git/shop_docker.git --ref main
  oa status                       what runs, what is under way, what is wrong
  oa why                          why something waits, failed or is refused
  oa logs hello@0 -f
  oa workflow show last";

const AFTER_HELP: &str = "\
Environment:
  OA_URL, OA_TOKEN   the node to speak to and a token for it
  OA_DATA_DIR        where the node of this machine keeps its files, used when OA_URL is not set
  NO_COLOR           no colours and nothing that moves; CLICOLOR=0 and TERM=dumb do the same

Exit codes: 0 ok, 1 failed, 2 usage, 3 refused, 4 not found, 5 timed out, 6 cancelled or no longer watched.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring a deployment repository to its cluster, and wait until it runs.
    Deploy(Deploy),
    /// Show, follow and cancel workflows.
    #[command(subcommand, visible_alias = "workflows")]
    Workflow(WorkflowCommand),
    /// Show the output of a unit.
    Logs(Logs),
    /// Show the node, its clusters, what runs there, and what is under way.
    Status,
    /// Say why something waits, failed or is refused, and what to do about it.
    Why(Why),
    /// Show the supervised actors of the node.
    Tree,
    /// Show clusters.
    #[command(subcommand, visible_alias = "clusters")]
    Cluster(ClusterCommand),
    /// Look at this machine and its node, and say how to mend what is wrong.
    Doctor,
    /// Show what ran for how long, by product and day.
    Usage(Usage),
    /// Start a node in a directory of its own and deploy a sample application there.
    Demo,
    /// Print a script with which a shell completes `oa`.
    #[command(after_help = COMPLETION_HELP)]
    Completion {
        /// The shell.
        #[arg(value_enum, value_name = "SHELL")]
        shell: CompletionShell,
    },
}

/// A shell that can complete `oa`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompletionShell {
    /// bash 4 and newer.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

const COMPLETION_HELP: &str = "\
Examples:
  oa completion bash > /etc/bash_completion.d/oa      # or: source <(oa completion bash)
  oa completion zsh > \"${fpath[1]}/_oa\"
  oa completion fish > ~/.config/fish/completions/oa.fish";

#[derive(Debug, Args)]
#[command(after_help = WHY_HELP)]
pub(crate) struct Why {
    /// A workflow (its id, a beginning of it, or `last`), a unit, or a cluster's token. [default: the node]
    #[arg(value_name = "OBJECT")]
    pub(crate) object: Option<String>,
    /// The cluster of the unit, by its token. [default: the one that has the unit]
    #[arg(long, value_name = "TOKEN", requires = "object")]
    pub(crate) cluster: Option<String>,
}

const WHY_HELP: &str = "\
Examples:
  oa why                 everything on this node that waits, failed or is refused now
  oa why last            the newest workflow
  oa why hello@0         a unit
  oa why local           a cluster";

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// Deployment repository: `org/name`, a URL, or a path on the node's machine.
    #[arg(long, value_name = "REPO")]
    pub(crate) repo: String,
    /// Branch, tag or commit of it. [default: the repository's HEAD]
    #[arg(long, value_name = "REF")]
    pub(crate) r#ref: Option<String>,
    /// Source repository; wins over `source.json`.
    #[arg(long, value_name = "REPO")]
    pub(crate) source_repo: Option<String>,
    /// Branch, tag or commit of the source.
    #[arg(long, value_name = "REF")]
    pub(crate) source_ref: Option<String>,
    /// What is to be done, in order.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "config,deploy")]
    pub(crate) milestones: Vec<String>,
    /// Print the workflow's id and do not wait.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Stop watching after this time, such as `10m`; the workflow goes on. [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowCommand {
    /// List workflows, the newest first.
    List(WorkflowList),
    /// Show one workflow.
    Show(WorkflowShow),
    /// Start a workflow that was made and not executed, and wait until it has ended.
    Execute(WorkflowExecute),
    /// Cancel a workflow, and wait until it has ended.
    Cancel(WorkflowCancel),
}

#[derive(Debug, Args)]
pub(crate) struct WorkflowList {
    /// Only those of the last HOURS.
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) lookback: i64,
    /// All of them.
    #[arg(long, conflicts_with = "lookback")]
    pub(crate) all: bool,
    /// Only those of this deployment repository.
    #[arg(long, value_name = "REPO")]
    pub(crate) repo: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WorkflowShow {
    /// Its id, a beginning of it that only one has, or `last`.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Follow it until it ends.
    #[arg(long, short)]
    pub(crate) watch: bool,
    /// With `--watch`: stop watching after this time; the workflow goes on.
    #[arg(long, value_name = "TIME", requires = "watch", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct WorkflowExecute {
    /// Its id, a beginning of it that only one has, or `last`.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Do not wait until it has ended.
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WorkflowCancel {
    /// Its id, a beginning of it that only one has, or `last`.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Why, for the event log.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Do not wait until it has ended.
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The unit, such as `hello@0.service`; `.service` may be left out.
    #[arg(value_name = "UNIT")]
    pub(crate) unit: String,
    /// Go on with what comes, until Ctrl-C.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Begin with so many of the last lines.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) lines: u32,
    /// The cluster, by its token. [default: the one that has the unit]
    #[arg(long, value_name = "TOKEN")]
    pub(crate) cluster: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// List clusters.
    List,
}

#[derive(Debug, Args)]
pub(crate) struct Usage {
    /// First day, UTC, such as 2026-11-25. [default: six days before the last one]
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<String>,
    /// Last day, UTC. [default: today]
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Option<String>,
    /// Only this product; `-` is what belongs to none.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) product: Option<String>,
    /// Only this cluster, by its token.
    #[arg(long, value_name = "TOKEN")]
    pub(crate) cluster: Option<String>,
    /// What gets a line of its own, beside each day.
    #[arg(long, value_enum, default_value_t = UsageBy::Product)]
    pub(crate) by: UsageBy,
}

/// What gets a line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UsageBy {
    /// A product, on all clusters together.
    Product,
    /// A product on each cluster.
    Cluster,
    /// Each unit.
    Unit,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn deploy_asks_for_config_and_deploy_unless_told_otherwise() {
        let milestones = |line: &[&str]| match Cli::parse_from(line).command {
            Command::Deploy(deploy) => deploy.milestones,
            other => panic!("not a deploy: {other:?}"),
        };
        assert_eq!(milestones(&["oa", "deploy", "--repo", "a/b"]), ["config", "deploy"]);
        assert_eq!(
            milestones(&["oa", "deploy", "--repo", "a/b", "--milestones", "config"]),
            ["config"]
        );
    }
}
