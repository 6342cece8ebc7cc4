//! A system ends although somebody keeps a subscription open.

use std::sync::Arc;
use std::time::Duration;

use oa_runtime::{
    Actor, ChildSpec, Context, Envelope, Failure, Handler, Mailbox, Message, PostOffice,
    RestartPolicy, System, Wire,
};
use oa_transport_memory::MemoryTransport;
use serde::{Deserialize, Serialize};

struct Sink;

impl Actor for Sink {
    const KIND: &'static str = "sink";
    type Args = ();

    async fn init((): &(), _: &mut Context<Self>) -> Result<Self, Failure> {
        Ok(Self)
    }
}

#[derive(Serialize, Deserialize)]
struct Note;

impl Message for Note {
    type Reply = ();
}

impl Wire for Note {
    const NAME: &'static str = "test.note";
    const VERSION: u16 = 1;
}

impl Handler<Note> for Sink {
    async fn handle(&mut self, _: Note, _: &mut Context<Self>) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_for_an_actor_that_has_ended_does_not_hold_up_the_shutdown() {
    let system = System::builder("shutdown").arbiters(1).build();
    let post_office = PostOffice::new(&system, "node", "", Arc::new(MemoryTransport::new()));
    let sink = system
        .spawn_ready(
            ChildSpec::<Sink>::new(()).restart(RestartPolicy::Temporary),
            Duration::from_secs(5),
        )
        .await
        .expect("the actor starts");
    let address = post_office.address("notes");
    let _kept_open = post_office
        .serve(Mailbox::new(address.clone()).accept::<Note, _>(&sink))
        .await
        .expect("served");
    sink.stop();
    sink.stopped().await;
    let note = Envelope::new(&address, &Note).expect("an envelope");
    post_office.publish(note).await.expect("the mailbox takes it");

    let report = system.shutdown(Duration::from_secs(20)).await;

    assert!(report.is_clean(), "{report:?}");
    assert!(report.took < Duration::from_secs(10), "{report:?}");
}
