//! What the FleetManager answers, from the mailbox to the reply.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use oa_fleet::{Engine, EngineError, Engines, LogQuery};
use oa_protocol::fleet_manager::{ListMachines, ListUnitStates, ListUnits, RestartUnit, UnitLogs};
use oa_protocol::unit::{LogPage, Machine, Unit, UnitDesire, UnitOption, UnitState};
use oa_protocol::{EtcdToken, Refusal, RefusalCode, UnitName, mailbox};
use oa_runtime::{PostOffice, System, Wire};
use oa_transport_memory::MemoryTransport;

use crate::{FleetManagerArgs, FleetManagerConfig, child_spec};

const SOON: Duration = Duration::from_secs(10);

/// Answers at once, or never.
struct TestEngine {
    answers: bool,
}

impl TestEngine {
    async fn answer<T>(&self, answer: T) -> Result<T, EngineError> {
        if self.answers { Ok(answer) } else { std::future::pending().await }
    }
}

#[async_trait]
impl Engine for TestEngine {
    async fn machines(&self) -> Result<Vec<Machine>, EngineError> {
        let machine =
            Machine { id: "m1".into(), primary_ip: "127.0.0.1".into(), metadata: BTreeMap::new() };
        self.answer(vec![machine]).await
    }

    async fn units(&self) -> Result<Vec<Unit>, EngineError> {
        self.answer(vec![Unit::new("a.service", Vec::new())]).await
    }

    async fn unit(&self, _name: &UnitName) -> Result<Option<Unit>, EngineError> {
        self.answer(None).await
    }

    async fn states(&self) -> Result<Vec<UnitState>, EngineError> {
        self.answer(Vec::new()).await
    }

    async fn put(&self, _: &UnitName, _: &[UnitOption], _: UnitDesire) -> Result<(), EngineError> {
        unreachable!("nobody asks the FleetManager for that")
    }

    async fn set_desire(&self, _: &UnitName, _: UnitDesire) -> Result<(), EngineError> {
        unreachable!("nobody asks the FleetManager for that")
    }

    async fn remove(&self, _: &UnitName) -> Result<bool, EngineError> {
        unreachable!("nobody asks the FleetManager for that")
    }

    /// There is something to read from the beginning only; after that a reader waits in vain.
    async fn logs(&self, _: &UnitName, query: LogQuery) -> Result<LogPage, EngineError> {
        if query.after.is_some() {
            tokio::time::sleep(query.wait).await;
            return Ok(LogPage { text: String::new(), next: 6, dropped: 0 });
        }
        self.answer(LogPage { text: "hello\n".into(), next: 6, dropped: 0 }).await
    }

    async fn restart(&self, name: &UnitName) -> Result<(), EngineError> {
        Err(EngineError::UnknownUnit { unit: name.to_string() })
    }
}

fn token(text: &str) -> EtcdToken {
    EtcdToken::new(text).expect("a valid token")
}

fn unit() -> UnitName {
    UnitName::new("a.service").expect("a valid name")
}

fn follow(wait_ms: u32) -> UnitLogs {
    UnitLogs { etcd_token: token("quick"), unit_name: unit(), after: Some(6), lines: None, wait_ms }
}

/// A node whose FleetManager reaches two clusters, one of which never answers.
#[derive(Clone)]
struct Node {
    system: System,
    office: PostOffice,
}

impl Node {
    async fn start() -> Self {
        let system = System::builder("test").arbiters(1).build();
        let office = PostOffice::new(&system, "node-1", "", Arc::new(MemoryTransport::new()));
        let engine = |answers| -> Arc<dyn Engine> { Arc::new(TestEngine { answers }) };
        let engines =
            Engines::new([(token("quick"), engine(true)), (token("silent"), engine(false))]);
        let args = FleetManagerArgs {
            engines,
            post_office: office.clone(),
            config: FleetManagerConfig::default(),
        };
        system.spawn_ready(child_spec(args), SOON).await.expect("it starts");
        Self { system, office }
    }

    async fn ask<M: Wire>(&self, question: M) -> M::Reply {
        let fleet_manager =
            self.office.recipient::<M>(&self.office.address(mailbox::FLEET_MANAGER));
        fleet_manager.ask(question, SOON).await.expect("an answer")
    }

    async fn stop(self) {
        self.system.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn every_question_about_a_cluster_is_answered() {
    let node = Node::start().await;
    let machines = node.ask(ListMachines { etcd_token: token("quick") }).await.expect("machines");
    assert_eq!(machines[0].id, "m1");
    let units = node.ask(ListUnits { etcd_token: token("quick") }).await.expect("units");
    assert_eq!(units[0].name, "a.service");
    assert_eq!(node.ask(ListUnitStates { etcd_token: token("quick") }).await, Ok(Vec::new()));
    let logs = UnitLogs { after: None, ..follow(0) };
    assert_eq!(node.ask(logs).await.expect("a page").text, "hello\n");
    let restart = node.ask(RestartUnit { etcd_token: token("quick"), unit_name: unit() }).await;
    assert_eq!(restart.expect_err("an unknown unit").code, RefusalCode::NotFound);
    node.stop().await;
}

#[tokio::test]
async fn an_unknown_cluster_is_refused_with_the_names_of_the_known_ones() {
    let node = Node::start().await;
    let refusal: Refusal =
        node.ask(ListUnits { etcd_token: token("other") }).await.expect_err("unknown");
    assert_eq!(refusal.code, RefusalCode::NotFound);
    assert!(refusal.message.contains("quick, silent"), "{refusal}");
    node.stop().await;
}

#[tokio::test]
async fn readers_that_wait_and_clusters_that_are_silent_hold_up_nobody() {
    let node = Node::start().await;
    for _ in 0..12 {
        let (follower, stuck) = (node.clone(), node.clone());
        tokio::spawn(async move { follower.ask(follow(60_000)).await });
        tokio::spawn(async move { stuck.ask(ListUnits { etcd_token: token("silent") }).await });
    }
    for _ in 0..20 {
        let answer = node.ask(ListMachines { etcd_token: token("quick") });
        let answer =
            tokio::time::timeout(Duration::from_secs(5), answer).await.expect("a quick answer");
        assert!(answer.is_ok() || answer.is_err_and(|refusal| refusal.is_retryable()));
    }
    let machines = eventually_answered(&node).await;
    assert_eq!(machines.len(), 1);
    node.stop().await;
}

/// Asks until the short waits of the other readers have ended.
async fn eventually_answered(node: &Node) -> Vec<Machine> {
    let asked = async {
        loop {
            if let Ok(machines) = node.ask(ListMachines { etcd_token: token("quick") }).await {
                return machines;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), asked).await.expect("an answer")
}
