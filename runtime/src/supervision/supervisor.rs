//! Decides what happens when a child comes down.
//!
//! ```text
//! child is down ─► policy restarts? ─no─► forgotten
//!                     │ yes
//!                  intensity left? ─no─► escalate: the parent fails
//!                     │ yes
//!                  one-for-one: rest, start again
//!                  others: halt the group in reverse order, rest, start it in order
//! ```
//!
//! A plain state machine: no threads, no clock. Its orders are calls on a [`Ward`], which only sets flags.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::backoff::{Backoff, FailureRun};
use super::child_spec::{IntensityLimit, Policy, RestartPolicy, Strategy};
use super::intensity::Intensity;
use crate::failure::Failure;

/// How a child came down.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    /// By itself, without a failure.
    Normal,
    /// By an order that is final.
    Ordered,
    /// By the order of its supervisor, which will say when to go on.
    Halted,
    /// By a failure.
    Failed(Failure),
}

/// What a supervisor may order a child to do.
pub(crate) trait Ward: Clone {
    /// Start again after a rest.
    fn go(&self, after: Duration);
    /// Come down and wait.
    fn halt(&self);
    /// Come to an orderly end, for good.
    fn stop(&self);
    /// What is down stays down.
    fn end(&self);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// Rests or runs its `init`.
    Starting,
    Up,
    /// Was told to come down and wait.
    Halting,
    Down,
    /// Was told to end.
    Ending,
}

struct Child<W> {
    name: String,
    ward: W,
    restart: RestartPolicy,
    backoff: Backoff,
    run: FailureRun,
    status: Status,
}

impl<W: Ward> Child<W> {
    /// Orders it down for the sake of its group. A temporary one does not come back from that.
    fn bring_down(&mut self) {
        if self.restart == RestartPolicy::Temporary {
            self.status = Status::Ending;
            self.ward.stop();
        } else {
            self.status = Status::Halting;
            self.ward.halt();
        }
    }
}

/// Siblings that are started again together: all from this key on.
struct Group {
    from: u64,
    halting: bool,
    rest: Duration,
}

/// Why a child was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAdded {
    NameTaken,
    Closing,
}

/// What became of a report.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Whether the child is still known; otherwise there is nobody who would give it a verdict.
    pub(crate) known: bool,
    /// The failure that the parent must die of.
    pub(crate) escalation: Option<Failure>,
}

/// The children of one actor, in the order of their start.
pub(crate) struct Supervisor<W> {
    strategy: Strategy,
    limit: IntensityLimit,
    intensity: Intensity,
    /// By key, which is the order of their start.
    children: BTreeMap<u64, Child<W>>,
    names: HashMap<String, u64>,
    group: Option<Group>,
    closing: bool,
}

impl<W: Ward> Supervisor<W> {
    pub(crate) fn new(strategy: Strategy, limit: IntensityLimit) -> Self {
        let intensity = Intensity::new(limit);
        let (children, names) = (BTreeMap::new(), HashMap::new());
        Self { strategy, limit, intensity, children, names, group: None, closing: false }
    }

    /// Takes a child in. Keys grow with each start.
    pub(crate) fn add(&mut self, key: u64, policy: &Policy, ward: W) -> Result<(), NotAdded> {
        if self.closing {
            return Err(NotAdded::Closing);
        }
        if self.find(&policy.name).is_some() {
            return Err(NotAdded::NameTaken);
        }
        let (name, restart, backoff) = (policy.name.clone(), policy.restart, policy.backoff);
        let (run, status) = (FailureRun::default(), Status::Starting);
        self.names.insert(name.clone(), key);
        self.children.insert(key, Child { name, ward, restart, backoff, run, status });
        Ok(())
    }

    pub(crate) fn find(&self, name: &str) -> Option<&W> {
        self.names.get(name).and_then(|key| self.children.get(key)).map(|child| &child.ward)
    }

    pub(crate) fn len(&self) -> usize {
        self.children.len()
    }

    pub(crate) fn wards(&self) -> Vec<W> {
        self.children.values().map(|child| child.ward.clone()).collect()
    }

    /// The child that was started last.
    pub(crate) fn last(&self) -> Option<(u64, W)> {
        self.children.last_key_value().map(|(key, child)| (*key, child.ward.clone()))
    }

    /// Orders one child to end. False: there is none of that name.
    pub(crate) fn stop(&mut self, name: &str) -> bool {
        let Some(child) = self.names.get(name).and_then(|key| self.children.get_mut(key)) else {
            return false;
        };
        child.status = Status::Ending;
        child.ward.stop();
        true
    }

    /// From now on nobody is started; the parent stops the children one by one.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.group = None;
    }

    /// Begins anew for the next incarnation of the parent.
    pub(crate) fn reopen(&mut self) {
        self.closing = false;
        self.intensity = Intensity::new(self.limit);
    }

    /// Forgets a child that does not answer, or that has ended.
    pub(crate) fn forget(&mut self, key: u64) {
        if let Some(child) = self.children.remove(&key) {
            self.names.remove(&child.name);
        }
        self.progress();
    }

    /// A child handles messages.
    pub(crate) fn started(&mut self, key: u64, now: Instant) {
        if let Some(child) = self.child(key)
            && child.status == Status::Starting
        {
            child.status = Status::Up;
            child.run.up(now);
            self.progress();
        }
    }

    /// A child is down.
    pub(crate) fn ended(&mut self, key: u64, ending: Ending, now: Instant) -> Report {
        let closing = self.closing;
        let Some(child) = self.child(key) else { return Report::default() };
        let was = std::mem::replace(&mut child.status, Status::Down);
        let last = closing || was == Status::Ending;
        let (restart, escalation) = match ending {
            Ending::Normal
                if was == Status::Halting && child.restart == RestartPolicy::Permanent && !last =>
            {
                self.progress();
                return Report { known: true, escalation: None };
            }
            Ending::Halted if !last => {
                // An answer to an order that was overtaken by another says nothing.
                child.status = if was == Status::Halting { Status::Down } else { was };
                self.progress();
                return Report { known: true, escalation: None };
            }
            Ending::Ordered | Ending::Halted => (false, None),
            Ending::Normal if last || child.restart != RestartPolicy::Permanent => (false, None),
            Ending::Failed(_) if last || child.restart == RestartPolicy::Temporary => (false, None),
            Ending::Normal => self.may_restart(key, "it ended", now),
            Ending::Failed(failure) => self.may_restart(key, &failure.chain(), now),
        };
        if restart {
            self.restart(key, now);
        } else {
            if let Some(child) = self.child(key) {
                child.ward.end();
            }
            self.forget(key);
        }
        Report { known: true, escalation }
    }

    fn may_restart(&mut self, key: u64, why: &str, now: Instant) -> (bool, Option<Failure>) {
        match self.intensity.record(now) {
            Ok(()) => (true, None),
            Err(exceeded) => {
                let name = self.child(key).map(|child| child.name.clone()).unwrap_or_default();
                (false, Some(Failure::new(format!("{exceeded}, the last of `{name}`: {why}"))))
            }
        }
    }

    fn restart(&mut self, key: u64, now: Instant) {
        let strategy = self.strategy;
        let Some(child) = self.child(key) else { return };
        let rest = child.run.failed(&child.backoff, now);
        if strategy == Strategy::OneForOne {
            child.status = Status::Starting;
            child.ward.go(rest);
            return;
        }
        let from = if strategy == Strategy::OneForAll { 0 } else { key };
        let from = self.group.as_ref().map_or(from, |group| group.from.min(from));
        self.group = Some(Group { from, halting: true, rest });
        self.progress();
    }

    /// Takes the group one step further: down in reverse order, then up in order, one at a time.
    fn progress(&mut self) {
        let Some(group) = &mut self.group else { return };
        if group.halting {
            let mut members = self.children.range(group.from..).map(|(_, child)| child.status);
            if members.any(|status| matches!(status, Status::Halting | Status::Ending)) {
                return;
            }
            let members = self.children.range_mut(group.from..).map(|(_, child)| child);
            let standing =
                |child: &&mut Child<W>| matches!(child.status, Status::Starting | Status::Up);
            if let Some(child) = members.rev().find(standing) {
                child.bring_down();
                return;
            }
            group.halting = false;
        }
        let mut members = self.children.range(group.from..).map(|(_, child)| child.status);
        if members.any(|status| status == Status::Starting) {
            return;
        }
        let mut members = self.children.range_mut(group.from..).map(|(_, child)| child);
        match members.find(|child| child.status == Status::Down) {
            Some(child) => {
                child.status = Status::Starting;
                child.ward.go(std::mem::take(&mut group.rest));
            }
            None => self.group = None,
        }
    }

    fn child(&mut self, key: u64) -> Option<&mut Child<W>> {
        self.children.get_mut(&key)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;
    use crate::supervision::ChildSpec;

    /// What the supervisor ordered, as `go b`, `halt c`.
    #[derive(Clone)]
    struct Recorder {
        name: String,
        orders: Rc<RefCell<Vec<String>>>,
    }

    impl Recorder {
        fn order(&self, what: &str) {
            self.orders.borrow_mut().push(format!("{what} {}", self.name));
        }
    }

    impl Ward for Recorder {
        fn go(&self, _: Duration) {
            self.order("go");
        }

        fn halt(&self) {
            self.order("halt");
        }

        fn stop(&self) {
            self.order("stop");
        }

        fn end(&self) {
            self.order("end");
        }
    }

    struct Actor;

    impl crate::Actor for Actor {
        const KIND: &'static str = "actor";
        type Args = ();

        async fn init((): &(), _: &mut crate::Context<Self>) -> Result<Self, Failure> {
            Ok(Self)
        }
    }

    struct Family {
        supervisor: Supervisor<Recorder>,
        orders: Rc<RefCell<Vec<String>>>,
        now: Instant,
    }

    impl Family {
        /// Children `a`, `b`, … that are up.
        fn new(strategy: Strategy, restarts: u32, children: &[RestartPolicy]) -> Self {
            let limit = IntensityLimit { restarts, period: Duration::from_secs(60) };
            let (supervisor, orders) = (Supervisor::new(strategy, limit), Rc::default());
            let mut family = Self { supervisor, orders, now: Instant::now() };
            for (key, restart) in children.iter().enumerate() {
                let name = name_of(key as u64);
                let spec = ChildSpec::<Actor>::new(())
                    .name(name.clone())
                    .restart(*restart)
                    .backoff(Backoff::none());
                let ward = Recorder { name, orders: Rc::clone(&family.orders) };
                family.supervisor.add(key as u64, &spec.policy, ward).expect("the name is free");
                family.supervisor.started(key as u64, family.now);
            }
            family
        }

        fn fails(&mut self, key: u64) -> Report {
            self.supervisor.ended(key, Ending::Failed(Failure::new("as told")), self.now)
        }

        fn orders(&self) -> Vec<String> {
            self.orders.borrow_mut().drain(..).collect()
        }

        /// Follows orders, one after the other, until there are none; returns them.
        fn follow(&mut self) -> Vec<String> {
            let mut followed = Vec::new();
            loop {
                let orders = self.orders();
                if orders.is_empty() {
                    return followed;
                }
                for order in orders {
                    let (what, name) = order.split_once(' ').expect("an order names a child");
                    let key = u64::from(name.as_bytes()[0] - b'a');
                    match what {
                        "go" => self.supervisor.started(key, self.now),
                        "halt" => drop(self.supervisor.ended(key, Ending::Halted, self.now)),
                        "stop" => drop(self.supervisor.ended(key, Ending::Ordered, self.now)),
                        _ => {}
                    }
                    followed.push(order);
                }
            }
        }
    }

    fn name_of(key: u64) -> String {
        char::from(b'a' + u8::try_from(key).expect("few children")).to_string()
    }

    const PERMANENT: RestartPolicy = RestartPolicy::Permanent;

    #[test]
    fn one_for_one_starts_only_the_one_that_failed() {
        let mut family = Family::new(Strategy::OneForOne, 5, &[PERMANENT; 3]);
        family.fails(1);
        assert_eq!(family.follow(), ["go b"]);
    }

    #[test]
    fn one_for_all_goes_down_in_reverse_and_up_in_order() {
        let mut family = Family::new(Strategy::OneForAll, 5, &[PERMANENT; 3]);
        family.fails(1);
        assert_eq!(family.follow(), ["halt c", "halt a", "go a", "go b", "go c"]);
    }

    #[test]
    fn rest_for_one_leaves_the_earlier_ones_alone() {
        let mut family = Family::new(Strategy::RestForOne, 5, &[PERMANENT; 4]);
        family.fails(1);
        assert_eq!(family.follow(), ["halt d", "halt c", "go b", "go c", "go d"]);
    }

    #[test]
    fn the_next_child_starts_when_the_one_before_it_is_up() {
        let mut family = Family::new(Strategy::OneForAll, 5, &[PERMANENT; 2]);
        family.fails(1);
        assert_eq!(family.orders(), ["halt a"]);
        family.supervisor.ended(0, Ending::Halted, family.now);
        assert_eq!(family.orders(), ["go a"]);
        family.supervisor.started(0, family.now);
        assert_eq!(family.orders(), ["go b"]);
    }

    #[test]
    fn a_failure_while_the_group_starts_begins_it_again() {
        let mut family = Family::new(Strategy::OneForAll, 5, &[PERMANENT; 2]);
        family.fails(0);
        assert_eq!(family.orders(), ["halt b"]);
        family.supervisor.ended(1, Ending::Halted, family.now);
        assert_eq!(family.orders(), ["go a"]);
        family.supervisor.started(0, family.now);
        assert_eq!(family.orders(), ["go b"]);
        family.fails(1);
        assert_eq!(family.follow(), ["halt a", "go a", "go b"]);
    }

    #[test]
    fn a_temporary_sibling_ends_with_the_group() {
        let children = [PERMANENT, RestartPolicy::Temporary, PERMANENT];
        let mut family = Family::new(Strategy::OneForAll, 5, &children);
        family.fails(0);
        assert_eq!(family.follow(), ["halt c", "stop b", "end b", "go a", "go c"]);
        assert_eq!(family.supervisor.len(), 2);
    }

    #[test]
    fn a_transient_sibling_that_finishes_meanwhile_stays_finished() {
        let mut family =
            Family::new(Strategy::OneForAll, 5, &[RestartPolicy::Transient, PERMANENT]);
        family.fails(1);
        assert_eq!(family.orders(), ["halt a"]);
        family.supervisor.ended(0, Ending::Normal, family.now);
        assert_eq!(family.follow(), ["end a", "go b"]);
    }

    #[test]
    fn one_failure_too_many_escalates() {
        let mut family = Family::new(Strategy::OneForOne, 1, &[PERMANENT]);
        assert!(family.fails(0).escalation.is_none());
        family.follow();
        let failure = family.fails(0).escalation.expect("one too many");
        assert_eq!(
            failure.to_string(),
            "2 failures of children within 60s, the last of `a`: as told"
        );
    }

    #[test]
    fn a_child_that_was_told_to_end_is_not_started_again() {
        let mut family = Family::new(Strategy::OneForOne, 5, &[PERMANENT]);
        assert!(family.supervisor.stop("a"));
        family.fails(0);
        assert_eq!(family.orders(), ["stop a", "end a"]);
        assert!(!family.supervisor.stop("a"));
    }

    #[test]
    fn nobody_is_started_while_the_parent_stops() {
        let mut family = Family::new(Strategy::OneForAll, 5, &[PERMANENT; 2]);
        family.supervisor.close();
        assert!(family.fails(1).escalation.is_none());
        assert_eq!(family.orders(), ["end b"]);
        let spec = ChildSpec::<Actor>::new(());
        let ward = Recorder { name: "z".into(), orders: Rc::default() };
        assert_eq!(family.supervisor.add(9, &spec.policy, ward), Err(NotAdded::Closing));
    }

    #[test]
    fn an_answer_to_an_order_that_was_overtaken_says_nothing() {
        let mut family = Family::new(Strategy::OneForAll, 5, &[PERMANENT; 2]);
        family.fails(1);
        assert_eq!(family.orders(), ["halt a"]);
        family.fails(0);
        assert_eq!(family.orders(), ["go a"], "it came down by itself");
        family.supervisor.ended(0, Ending::Halted, family.now);
        family.supervisor.started(0, family.now);
        assert_eq!(family.orders(), ["go b"]);
    }

    proptest! {
        /// However failures, starts and answers interleave: once every order is followed, every permanent child is up
        /// again, unless the supervisor escalated.
        #[test]
        fn every_child_is_up_in_the_end(
            all in any::<bool>(),
            steps in proptest::collection::vec((0_u64..4, 0_u8..3), 1..40),
        ) {
            let strategy = if all { Strategy::OneForAll } else { Strategy::RestForOne };
            let mut family = Family::new(strategy, 1000, &[PERMANENT; 4]);
            let mut open: Vec<String> = Vec::new();
            for (key, step) in steps {
                open.extend(family.orders());
                let name = name_of(key);
                let ordered = |what: &str| open.iter().position(|order| *order == format!("{what} {name}"));
                match step {
                    0 => if let Some(at) = ordered("go") {
                        open.remove(at);
                        family.supervisor.started(key, family.now);
                    },
                    1 => if let Some(at) = ordered("halt") {
                        open.remove(at);
                        family.supervisor.ended(key, Ending::Halted, family.now);
                    },
                    _ => {
                        // Only what is not down can fail; then its older orders are overtaken.
                        let child = family.supervisor.child(key).expect("permanent");
                        if child.status != Status::Down {
                            open.retain(|order| !order.ends_with(&name));
                            family.fails(key);
                        }
                    }
                }
            }
            family.orders.borrow_mut().splice(0..0, open);
            family.follow();
            prop_assert!(family.supervisor.children.values().all(|child| child.status == Status::Up));
            prop_assert!(family.supervisor.group.is_none());
        }
    }
}
