//! A FleetManager that answers from a script.

use std::time::Duration;

use oa_protocol::fleet_manager::{
    ListMachines, ListUnitStates, ListUnits, RestartUnit, ShowUnitCondition, UnitLogs,
};
use oa_protocol::unit::{LogPage, Machine, Unit, UnitCondition, UnitDesire, UnitOption, UnitState};
use oa_protocol::{Refusal, RefusalCode, mailbox};
use oa_runtime::{
    Actor, ActorRef, ChildSpec, Context, Failure, Handler, Mailbox, Message, Subscription, Wire,
};

use crate::manager::TestManager;

/// How it answers.
#[derive(Debug, Clone)]
pub(crate) enum Script {
    /// With one machine and one unit.
    Answer,
    /// As [`Script::Answer`], but what an engine of a real Fleet can say is all that it says of its unit.
    State {
        /// Active state.
        active: &'static str,
        /// Sub state.
        sub: &'static str,
    },
    /// With a cluster that has neither machines nor units.
    Empty,
    /// With a refusal.
    Refuse(RefusalCode),
    /// Never in time.
    Sleep,
}

/// A scripted FleetManager.
pub(crate) struct ScriptedFleet {
    script: Script,
}

impl Actor for ScriptedFleet {
    const KIND: &'static str = "scripted_fleet";
    type Args = Script;

    async fn init(script: &Script, _ctx: &mut Context<Self>) -> Result<Self, Failure> {
        Ok(Self { script: script.clone() })
    }
}

impl ScriptedFleet {
    /// Serves the Manager's questions until the subscription is dropped.
    pub(crate) async fn serve(manager: &TestManager, script: Script) -> Subscription {
        let fleet: ActorRef<Self> =
            manager.system().spawn(ChildSpec::new(script)).expect("an actor");
        let address = manager.post_office().address(mailbox::FLEET_MANAGER);
        let mailbox = Mailbox::new(address)
            .accept::<ListMachines, _>(&fleet)
            .accept::<ListUnits, _>(&fleet)
            .accept::<ListUnitStates, _>(&fleet)
            .accept::<UnitLogs, _>(&fleet)
            .accept::<ShowUnitCondition, _>(&fleet)
            .accept::<RestartUnit, _>(&fleet);
        manager.post_office().serve(mailbox).await.expect("a subscription")
    }

    fn state(&self) -> (&'static str, &'static str) {
        match self.script {
            Script::State { active, sub } => (active, sub),
            _ => ("active", "running"),
        }
    }

    /// Nothing in an empty cluster, else `one`.
    fn listed<T>(&self, one: T) -> Vec<T> {
        if matches!(self.script, Script::Empty) { Vec::new() } else { vec![one] }
    }

    async fn answer<T>(&self, answer: T) -> Result<Result<T, Refusal>, Failure> {
        match self.script {
            Script::Answer | Script::State { .. } | Script::Empty => Ok(Ok(answer)),
            Script::Refuse(code) => {
                Ok(Err(Refusal::new(code, "cluster `east` is resting").hint("wake it")))
            }
            Script::Sleep => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                Ok(Ok(answer))
            }
        }
    }
}

/// The unit of the script.
pub(crate) fn unit() -> Unit {
    let options = vec![UnitOption::new("Service", "ExecStart", "/bin/app")];
    Unit {
        desired_state: Some(UnitDesire::Launched),
        current_state: Some(UnitDesire::Launched),
        machine_id: Some("m1".to_owned()),
        ..Unit::new("app@0.service", options)
    }
}

macro_rules! answers {
    ($($question:ty => |$fleet:ident, $asked:ident| $answer:expr;)*) => {
        $(impl Handler<$question> for ScriptedFleet {
            async fn handle(
                &mut self,
                $asked: $question,
                _ctx: &mut Context<Self>,
            ) -> Result<<$question as Message>::Reply, Failure> {
                assert_eq!($asked.etcd_token.as_str(), "east", "{}", <$question as Wire>::NAME);
                let $fleet = &*self;
                let answer = $answer;
                self.answer(answer).await
            }
        })*
    };
}

answers! {
    ListMachines => |fleet, asked| {
        fleet.listed(Machine { id: "m1".into(), primary_ip: "10.0.0.7".into(), metadata: [].into() })
    };
    ListUnits => |fleet, asked| fleet.listed(unit());
    ListUnitStates => |fleet, asked| fleet.listed(UnitState {
        name: "app@0.service".into(),
        hash: "ab".into(),
        machine_id: "m1".into(),
        systemd_load_state: "loaded".into(),
        systemd_active_state: fleet.state().0.into(),
        systemd_sub_state: fleet.state().1.into(),
    });
    UnitLogs => |_fleet, asked| LogPage {
        text: format!("{} after {:?} lines {:?}\n", asked.unit_name, asked.after, asked.lines),
        next: 42,
        dropped: 0,
    };
    ShowUnitCondition => |_fleet, asked| None::<UnitCondition>;
    RestartUnit => |_fleet, asked| ();
}
