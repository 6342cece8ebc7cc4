//! What is in memory is lost in a crash, so whoever hands a message over for good waits until it is settled.

use std::sync::Arc;
use std::time::Duration;

use oa_runtime::transport::{Delivery, MessageId, Settlement, Sink, Topology};
use oa_runtime::{Address, Envelope, Message, Transport, Wire};
use oa_transport_memory::MemoryTransport;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// Long enough for what would be wrong to happen.
const A_MOMENT: Duration = Duration::from_millis(20);

/// Settlements as they arrive.
struct Settlements(UnboundedSender<(MessageId, Settlement)>);

impl Sink for Settlements {
    fn deliver(&self, Delivery { envelope, settlement }: Delivery) {
        self.0.send((envelope.message_id, settlement)).expect("the test listens");
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Note;

impl Message for Note {
    type Reply = ();
}

impl Wire for Note {
    const NAME: &'static str = "test.note";
    const VERSION: u16 = 1;
}

struct Stage {
    transport: MemoryTransport,
    envelope: Envelope,
    deliveries: UnboundedReceiver<(MessageId, Settlement)>,
    _subscription: oa_runtime::Subscription,
}

async fn stage() -> Stage {
    let (transport, (sender, deliveries)) = (MemoryTransport::new(), unbounded_channel());
    let address = Address::new("", "notes").expect("a valid address");
    transport.declare(Topology::durable(address.clone())).await.expect("it is declared");
    let sink = Arc::new(Settlements(sender));
    let subscription = transport.subscribe(address.clone(), 8, sink).await.expect("it is served");
    let envelope = Envelope::new(&address, &Note).expect("a note is plain data");
    Stage { transport, envelope, deliveries, _subscription: subscription }
}

#[tokio::test]
async fn a_message_is_handed_over_for_good_when_it_is_settled_and_not_before() {
    let Stage { transport, envelope, mut deliveries, _subscription } = stage().await;
    let mut handed_over = transport.publish_for_good(envelope);

    assert!(timeout(A_MOMENT, &mut handed_over).await.is_err(), "it is unsettled");
    let (_, settlement) = deliveries.recv().await.expect("a delivery");
    settlement.retry(Duration::ZERO);
    let (_, settlement) = deliveries.recv().await.expect("the same once more");
    assert!(timeout(A_MOMENT, &mut handed_over).await.is_err(), "it is unsettled");
    settlement.done();

    assert_eq!(handed_over.await, Ok(()));
}

#[tokio::test]
async fn whoever_hands_the_same_message_over_again_waits_for_the_first_copy() {
    let Stage { transport, envelope, mut deliveries, _subscription } = stage().await;
    let first = timeout(A_MOMENT, transport.publish_for_good(envelope.clone()));
    assert!(first.await.is_err(), "nobody settles it in time");

    let again = tokio::spawn({
        let (transport, envelope) = (transport.clone(), envelope.clone());
        async move { transport.publish_for_good(envelope).await }
    });
    let (id, settlement) = deliveries.recv().await.expect("a delivery");
    tokio::task::yield_now().await;
    settlement.done();

    assert_eq!(again.await.expect("it ends"), Ok(()));
    assert_eq!(id, envelope.message_id);
    assert!(deliveries.try_recv().is_err(), "there is no second copy");
}
