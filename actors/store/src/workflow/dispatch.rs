//! Beginning a step: claiming its targets and sending its command.

use std::collections::BTreeSet;
use std::time::Duration;

use oa_protocol::build::{ConfigCommand, ConfigOutput};
use oa_protocol::deploy::DeployCommand;
use oa_protocol::step::{StepKey, StepOutput};
use oa_protocol::{AttemptId, EtcdToken, FailureCode, UnitName, WorkflowId};
use sha2::{Digest, Sha256};
use uuid::Builder;

use super::draft::Draft;
use super::event::TimerKind;
use super::milestone::Milestone;
use super::plan::{Command, Outgoing};
use super::state::{Attempt, Claim, Target, Wait, WorkflowFailure, WorkflowState};
use super::status::{AttemptStatus, Status, StepStatus};

/// Time that a whole workflow may take, from its start.
pub(super) const WORKFLOW_TIME_MS: i64 = 24 * 3_600_000;
/// After so long without a word the command is sent again, then after twice as long, and so on.
const RESEND_AFTER_MS: i64 = 5 * 60_000;
/// The longest silence before it is sent once more.
pub(super) const LONGEST_SILENCE_MS: i64 = 60 * 60_000;
/// What a worker may be late with its report beyond the time of the step.
const REPORT_GRACE_MS: i64 = 5 * 60_000;

/// Time that one attempt at `milestone` may take.
fn step_time(milestone: Milestone) -> Duration {
    match milestone {
        Milestone::Scheduled | Milestone::Config => Duration::from_secs(600),
        Milestone::Deploy | Milestone::DeployOa => Duration::from_secs(1800),
    }
}

/// When an accepted attempt at `milestone` counts as lost.
pub(super) fn lost_at(milestone: Milestone, accepted_at_ms: i64) -> i64 {
    let time_ms = i64::try_from(step_time(milestone).as_millis()).unwrap_or(i64::MAX);
    accepted_at_ms.saturating_add(time_ms).saturating_add(REPORT_GRACE_MS)
}

impl Draft {
    /// Begins the step at `seq`; without one there the workflow is done.
    pub(super) fn begin(&mut self, seq: u32) {
        let now_ms = self.now_ms;
        let Some(step) = self.next.steps.get_mut(seq as usize) else { return self.succeed() };
        step.status = StepStatus::Doing;
        step.started_at_ms = Some(now_ms);
        let milestone = step.milestone;
        self.next.current_seq = Some(seq);
        if milestone == Milestone::Scheduled {
            return self.await_start(seq);
        }
        self.next.timers.entry(TimerKind::Deadline).or_insert(now_ms + WORKFLOW_TIME_MS);
        self.say(format!("starting milestone {milestone}"));
        self.dispatch();
    }

    fn await_start(&mut self, seq: u32) {
        match self.next.spec.scheduled_start_time_ms {
            None => self.fail(WorkflowFailure {
                message: "the workflow has no scheduled_start_time".to_owned(),
                hint: Some("set scheduled_start_time, or leave `scheduled` out".to_owned()),
                code: FailureCode::PlanIncomplete,
            }),
            Some(at_ms) if at_ms <= self.now_ms => {
                self.end_step(StepStatus::Done);
                self.say("the start time has come");
                self.begin(seq + 1);
            }
            Some(at_ms) => {
                let time = jiff::Timestamp::from_millisecond(at_ms)
                    .map_or_else(|_| at_ms.to_string(), |t| t.to_string());
                self.next.status = Status::Scheduled;
                self.next.timers.insert(TimerKind::Start, at_ms);
                self.next.waiting_for = Some(format!("the start time {time}"));
                self.say(format!("waiting for the start time {time}"));
            }
        }
    }

    /// Sends the command of the step in hand, or waits for its targets, or fails.
    pub(super) fn dispatch(&mut self) {
        self.next.timers.remove(&TimerKind::Retry);
        self.next.timers.remove(&TimerKind::Start);
        if let Err(failure) =
            self.claim_targets().and_then(|free| if free { self.send_attempt() } else { Ok(()) })
        {
            self.fail(failure);
        }
    }

    /// Claims what the step in hand deploys to. False: another workflow has it, this one waits now.
    fn claim_targets(&mut self) -> Result<bool, WorkflowFailure> {
        if !self.next.current().is_some_and(|step| step.milestone.is_deploy()) {
            return Ok(true);
        }
        let wanted = wanted_targets(deployable(&self.next)?)?;
        if self.next.claim.as_ref().is_some_and(|claim| claim.targets == wanted) {
            return Ok(true);
        }
        // All or none: a workflow that held one target while it waits for another could wait for ever.
        self.next.claim = None;
        let id = self.next.id;
        let views = wanted
            .iter()
            .map(|target| (target, self.next.targets.get(target).copied().unwrap_or_default()));
        let taken = views
            .clone()
            .find_map(|(target, view)| Some((target.clone(), view.holder.filter(|by| *by != id)?)));
        if let Some((target, holder)) = taken {
            self.await_claim(target, holder);
            return Ok(false);
        }
        let generation = views.map(|(_, view)| view.generation).max().unwrap_or(0) + 1;
        self.note("generation", generation);
        self.next.claim = Some(Claim { targets: wanted, generation });
        Ok(true)
    }

    fn await_claim(&mut self, target: Target, holder: WorkflowId) {
        let text = Wait::text(&target, holder);
        let since_ms = self.next.wait.as_ref().map_or(self.now_ms, |wait| wait.since_ms);
        self.next.status = Status::Waiting;
        self.next.wait = Some(Wait { target, since_ms });
        self.say(format!("waiting for {text}"));
        if let Some(step) = self.next.current_mut() {
            step.waiting_for = Some(text.clone());
        }
        self.next.waiting_for = Some(text);
    }

    fn send_attempt(&mut self) -> Result<(), WorkflowFailure> {
        let Some(step) = self.next.current() else { return Ok(()) };
        let (seq, no) = (step.seq, step.attempts + 1);
        let Some(to) = self.next.destinations.of(step.milestone).cloned() else { return Ok(()) };
        let attempt = Attempt {
            id: attempt_id(self.next.id, seq, no, self.now_ms),
            seq,
            no,
            epoch: self.next.epoch,
            status: AttemptStatus::Queued,
            to,
            worker: None,
            created_at_ms: self.now_ms,
            accepted_at_ms: None,
            finished_at_ms: None,
            failure: None,
        };
        self.send(&attempt)?;
        self.note("attempt_id", attempt.id.to_string());
        self.note("attempt_no", no);
        self.next.timers.insert(TimerKind::Lost, self.now_ms + RESEND_AFTER_MS);
        self.next.live = Some(attempt);
        self.next.status = Status::Running;
        self.next.wait = None;
        self.next.waiting_for = None;
        if let Some(step) = self.next.current_mut() {
            step.attempts = no;
            step.waiting_for = None;
        }
        Ok(())
    }

    /// Sends the command of the live attempt once more; the worker knows it by its key.
    pub(super) fn resend(&mut self) {
        let Some(attempt) = self.next.live.clone() else { return };
        // Bounded from both sides, since the clock may have been set meanwhile.
        let silence_ms = (self.now_ms.saturating_sub(attempt.created_at_ms))
            .clamp(RESEND_AFTER_MS, LONGEST_SILENCE_MS);
        self.next.timers.insert(TimerKind::Lost, self.now_ms.saturating_add(silence_ms));
        self.say(format!("no worker has taken the command yet; sent again to {}", attempt.to));
        self.note("attempt_id", attempt.id.to_string());
        if let Err(failure) = self.send(&attempt) {
            self.fail(failure);
        }
    }

    fn send(&mut self, attempt: &Attempt) -> Result<(), WorkflowFailure> {
        let command = command(&self.next, attempt.key(self.next.id))?;
        self.outgoing.push(Outgoing {
            to: attempt.to.clone(),
            idempotency_key: attempt.id.to_string(),
            command,
        });
        Ok(())
    }
}

/// The same attempt always gets the same id, so that [`super::step`] stays a function of its arguments.
fn attempt_id(workflow: WorkflowId, seq: u32, no: u32, now_ms: i64) -> AttemptId {
    let digest = Sha256::digest(format!("{workflow}/{seq}/{no}"));
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    Builder::from_unix_timestamp_millis(now_ms.unsigned_abs(), &random).into_uuid().into()
}

/// The command of the step in hand.
fn command(state: &WorkflowState, step: StepKey) -> Result<Command, WorkflowFailure> {
    let milestone = state.current().map_or(Milestone::Scheduled, |step| step.milestone);
    let timeout = step_time(milestone);
    if !milestone.is_deploy() {
        return config_command(state, step, timeout);
    }
    let (etcd_token, output) = deployable(state)?;
    Ok(Command::Deploy(DeployCommand {
        step,
        etcd_token: etcd_token.clone(),
        units: output.units.clone(),
        fleet_config: output.fleet_config.clone(),
        generation: state.claim.as_ref().map_or(0, |claim| claim.generation),
        product: state.spec.deployment_repo.as_deref().and_then(product),
        timeout,
    }))
}

fn config_command(
    state: &WorkflowState,
    step: StepKey,
    timeout: Duration,
) -> Result<Command, WorkflowFailure> {
    let spec = &state.spec;
    let deployment_repo =
        spec.deployment_repo.clone().filter(|repo| !repo.is_empty()).ok_or_else(|| {
            WorkflowFailure {
                message: "the workflow names no deployment repository".to_owned(),
                hint: Some("create it with `deployment_repo`".to_owned()),
                code: FailureCode::PlanIncomplete,
            }
        })?;
    let later = state.steps.iter().skip(step.seq as usize);
    let needs_cluster = later.into_iter().any(|step| step.milestone.is_deploy());
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Ok(Command::Config(ConfigCommand {
        step,
        deployment_repo,
        deployment_repo_git_ref: given(&spec.deployment_repo_git_ref),
        source_repo: given(&spec.source_repo),
        source_repo_git_ref: given(&spec.source_repo_git_ref),
        needs_cluster,
        timeout,
    }))
}

/// What a deployment repository is billed to: its name, without the ending that says that it is one.
fn product(deployment_repo: &str) -> Option<String> {
    let path = deployment_repo.trim_end_matches('/');
    let name = path.rsplit(['/', ':']).next().unwrap_or(path);
    let name = name.strip_suffix(".git").unwrap_or(name);
    let name = name.strip_suffix("_docker").unwrap_or(name);
    // Nothing that a unit file would read as something else than a name.
    let is_plain = !name.contains(|c: char| c.is_control() || c == '\\');
    (is_plain && !name.is_empty()).then(|| name.to_owned())
}

/// What the last `config` found, if it can be deployed.
fn deployable(state: &WorkflowState) -> Result<(&EtcdToken, &ConfigOutput), WorkflowFailure> {
    let refuse = |message: &str, hint: &str| WorkflowFailure {
        message: message.into(),
        hint: Some(hint.into()),
        code: FailureCode::PlanIncomplete,
    };
    let output = last_config(state).ok_or_else(|| {
        refuse("no `config` milestone has run before this one", "list `config` before `deploy`")
    })?;
    let token = output.etcd_token.as_ref().ok_or_else(|| {
        refuse(
            "the deployment repository names no cluster",
            "add etcd.json with the cluster's token",
        )
    })?;
    if output.units.is_empty() {
        return Err(refuse(
            "the deployment repository has no units",
            "add a unit file, such as app@.service",
        ));
    }
    Ok((token, output))
}

/// What the last `config` that is done has found.
pub(super) fn last_config(state: &WorkflowState) -> Option<&ConfigOutput> {
    state.steps.iter().rev().find_map(|step| match step.output.as_deref() {
        Some(StepOutput::Config(output)) => Some(output.as_ref()),
        _ => None,
    })
}

/// One target for each prefix, in order.
pub(super) fn wanted_targets(
    (etcd_token, output): (&EtcdToken, &ConfigOutput),
) -> Result<Vec<Target>, WorkflowFailure> {
    let names = output.units.iter().map(|unit| UnitName::new(unit.name.clone()));
    let targets: Result<BTreeSet<Target>, _> = names
        .map(|name| name.map(|name| Target::new(etcd_token.as_str(), name.prefix())))
        .collect();
    let targets = targets.map_err(|invalid| WorkflowFailure {
        message: invalid.to_string(),
        hint: Some("rename the unit file in the deployment repository".to_owned()),
        code: FailureCode::UnitInvalid,
    })?;
    Ok(targets.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::product;

    #[test]
    fn a_deployment_repository_is_billed_by_its_name() {
        for repository in [
            "acme/shop_docker",
            "https://git.example/acme/shop_docker.git",
            "git@git.example:shop.git",
            "/srv/git/shop_docker.git/",
            "shop",
        ] {
            assert_eq!(product(repository).as_deref(), Some("shop"), "{repository}");
        }
        assert_eq!(product("acme/_docker"), None);
        assert_eq!(product(""), None);
    }
}
