//! How a workflow looks while it is followed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use oa_api::{StepState, Workflow, WorkflowEvent, WorkflowState, WorkflowStep};

use crate::output::{Screen, duration, printable};

/// Shows each milestone with its time and what it waits for: in a terminal a line that is drawn again, elsewhere a
/// line for each change.
pub(crate) struct Progress {
    screen: Screen,
    verbose: bool,
    shown: HashMap<u32, Shown>,
    current: Option<Current>,
    noted: Option<String>,
}

/// What was last said about a step.
#[derive(Clone, PartialEq)]
struct Shown {
    state: StepState,
    waiting_for: Option<String>,
}

/// What the live line is about.
struct Current {
    name: String,
    since: Instant,
    waiting_for: Option<String>,
}

impl Progress {
    pub(crate) fn new(screen: Screen, verbose: bool) -> Self {
        Self { screen, verbose, shown: HashMap::new(), current: None, noted: None }
    }

    /// Whether there is a line to be drawn again.
    pub(crate) fn is_live(&self) -> bool {
        self.screen.is_terminal()
    }

    /// Shows what is new.
    pub(crate) fn show(&mut self, events: &[WorkflowEvent], workflow: &Workflow) {
        self.noted = None;
        for event in events.iter().filter(|event| self.verbose || event.kind.contains("progress")) {
            let milestone = event.milestone.as_deref().unwrap_or("");
            let line = format!("  {milestone:<9} {}", printable(&event.message));
            self.screen.line(&self.screen.style().dim(&line));
        }
        for step in &workflow.steps {
            self.show_step(step);
        }
        self.follow(workflow);
        self.redraw();
    }

    /// Says something beside the workflow, once until the next news.
    pub(crate) fn note(&mut self, text: &str) {
        if self.noted.as_deref() != Some(text) {
            self.screen.line(&format!("  {}", printable(text)));
            self.noted = Some(text.to_owned());
        }
        self.redraw();
    }

    /// Draws the live line with the time as it is now.
    pub(crate) fn redraw(&mut self) {
        let Some(current) = &self.current else { return self.screen.clear() };
        let time = duration(current.since.elapsed());
        let waiting =
            current.waiting_for.as_deref().map(|what| format!("  waits for {}", printable(what)));
        self.screen.live(&format!("  {:<9} {time}{}", current.name, waiting.unwrap_or_default()));
    }

    fn show_step(&mut self, step: &WorkflowStep) {
        let now = Shown { state: step.state, waiting_for: step.waiting_for.clone() };
        let before = self.shown.insert(step.seq, now.clone());
        if before.as_ref() == Some(&now) || step.state == StepState::Pending {
            return;
        }
        let name = &step.milestone;
        if let Some(words) = end_words(step.state) {
            let words = match step.state {
                StepState::Succeeded => self.screen.style().green(words),
                StepState::Skipped => self.screen.style().dim(words),
                _ => self.screen.style().red(words),
            };
            let time =
                time_taken(step).map(|time| format!("  {}", duration(time))).unwrap_or_default();
            self.screen.line(&format!("  {name:<9} {words}{time}"));
        } else if !self.is_live() {
            let words = match (&step.waiting_for, step.state) {
                (Some(what), _) => format!("waits for {}", printable(what)),
                (None, StepState::Undoing) => "is taken back".into(),
                (None, _) if before.is_some_and(|before| before.state == step.state) => return,
                (None, _) => "started".into(),
            };
            self.screen.line(&format!("  {name:<9} {words}"));
        }
    }

    /// Chooses what the live line is about: the step in hand, else what the workflow waits for.
    fn follow(&mut self, workflow: &Workflow) {
        let in_hand = workflow
            .steps
            .iter()
            .find(|step| matches!(step.state, StepState::Running | StepState::Undoing));
        let next = match in_hand {
            Some(step) => Some((
                step.milestone.clone(),
                step.waiting_for.clone().or(workflow.waiting_for.clone()),
            )),
            None if workflow.workflow_completed || workflow.state.is_final() => None,
            None => Some((resting_word(workflow.state).to_owned(), workflow.waiting_for.clone())),
        };
        let old = self.current.take();
        self.current = next.map(|(name, waiting_for)| {
            let since =
                old.filter(|old| old.name == name).map_or_else(Instant::now, |old| old.since);
            Current { name, since, waiting_for }
        });
    }
}

fn end_words(state: StepState) -> Option<&'static str> {
    Some(match state {
        StepState::Succeeded => "done",
        StepState::Failed => "failed",
        StepState::Cancelled => "cancelled",
        StepState::Undone => "taken back",
        StepState::Skipped => "skipped",
        _ => return None,
    })
}

fn resting_word(state: WorkflowState) -> &'static str {
    match state {
        WorkflowState::Created => "created",
        WorkflowState::Scheduled => "scheduled",
        WorkflowState::Parked => "parked",
        _ => "waiting",
    }
}

fn time_taken(step: &WorkflowStep) -> Option<Duration> {
    let ms = step.finished_at_ms?.checked_sub(step.started_at_ms?)?;
    u64::try_from(ms).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_screen::TestScreen;

    fn workflow(state: WorkflowState, steps: &[(&str, StepState, Option<&str>)]) -> Workflow {
        let steps =
            steps.iter().zip(0..).map(|(&(milestone, state, waiting_for), seq)| WorkflowStep {
                seq,
                milestone: milestone.into(),
                state,
                started_at_ms: Some(1_000),
                finished_at_ms: Some(1_350),
                waiting_for: waiting_for.map(str::to_owned),
                ..WorkflowStep::default()
            });
        Workflow { state, steps: steps.collect(), ..Workflow::default() }
    }

    /// A run of `config` and `deploy` as it is read again and again.
    fn story() -> Vec<Workflow> {
        use StepState::{Pending, Running, Succeeded};
        let waiting = Some("hello@1.service to become healthy");
        vec![
            workflow(
                WorkflowState::Running,
                &[("config", Running, None), ("deploy", Pending, None)],
            ),
            workflow(
                WorkflowState::Running,
                &[("config", Succeeded, None), ("deploy", Running, None)],
            ),
            workflow(
                WorkflowState::Running,
                &[("config", Succeeded, None), ("deploy", Running, waiting)],
            ),
            workflow(
                WorkflowState::Running,
                &[("config", Succeeded, None), ("deploy", Running, waiting)],
            ),
            workflow(
                WorkflowState::Succeeded,
                &[("config", Succeeded, None), ("deploy", Succeeded, None)],
            ),
        ]
    }

    #[test]
    fn outside_a_terminal_each_change_is_a_line() {
        let test = TestScreen::file();
        let mut progress = Progress::new(test.screen(), false);
        for workflow in story() {
            progress.show(&[], &workflow);
        }
        assert_eq!(
            test.text(),
            "  config    started\n  config    done  350 ms\n  deploy    started\n  \
             deploy    waits for hello@1.service to become healthy\n  deploy    done  350 ms\n"
        );
    }

    #[test]
    fn in_a_terminal_only_finished_milestones_stay() {
        let test = TestScreen::terminal();
        let mut progress = Progress::new(test.screen(), false);
        for workflow in story() {
            progress.show(&[], &workflow);
        }
        drop(progress);
        let text = test.text();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("waits for hello@1.service to become healthy"), "{text}");
        assert!(text.ends_with("deploy    done  350 ms\n"), "{text}");
    }

    #[test]
    fn events_are_shown_when_asked_for_and_progress_always() {
        let event = |kind: &str, message: &str| WorkflowEvent {
            kind: kind.into(),
            message: message.into(),
            milestone: Some("deploy".into()),
            ..WorkflowEvent::default()
        };
        let events = [
            event("step_accepted", "taken by n1"),
            event("step_progress", "hello@0.service is up"),
        ];
        for (verbose, expected) in [
            (true, "  deploy    taken by n1\n  deploy    hello@0.service is up\n"),
            (false, "  deploy    hello@0.service is up\n"),
        ] {
            let test = TestScreen::file();
            Progress::new(test.screen(), verbose).show(&events, &Workflow::default());
            assert_eq!(test.text(), expected);
        }
    }

    #[test]
    fn a_note_is_said_once() {
        let test = TestScreen::file();
        let mut progress = Progress::new(test.screen(), false);
        progress.note("the node does not answer");
        progress.note("the node does not answer");
        assert_eq!(test.text(), "  the node does not answer\n");
    }
}
