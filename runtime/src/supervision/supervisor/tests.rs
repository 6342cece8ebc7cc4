//! What a supervisor orders, checked against recorders instead of actors.

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
    let mut family = Family::new(Strategy::OneForAll, 5, &[RestartPolicy::Transient, PERMANENT]);
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
    assert_eq!(failure.to_string(), "2 failures of children within 60s, the last of `a`: as told");
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
