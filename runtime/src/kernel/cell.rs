//! What a reference to an actor holds.

use std::sync::Arc;

use actix::dev::channel::{AddressReceiver, AddressSender, channel};
use actix::prelude::SendError;

use super::hand::Posted;
use super::host::Host;
use crate::actor::{Actor, Handler};
use crate::failure::Failure;
use crate::message::Message;
use crate::node::Node;
use crate::parcel::Parcel;
use crate::system::System;

/// What a reference to an actor holds: its node and the way into its queue.
pub(crate) struct Cell<A: Actor> {
    node: Arc<Node>,
    system: System,
    queue: AddressSender<Host<A>>,
}

/// The receiving end of the queue. Dropped before it is taken, it says that the actor never lived.
pub(crate) struct Receiver<A: Actor> {
    node: Arc<Node>,
    queue: Option<AddressReceiver<Host<A>>>,
}

impl<A: Actor> Receiver<A> {
    pub(super) fn take(mut self) -> Option<AddressReceiver<Host<A>>> {
        self.queue.take()
    }
}

impl<A: Actor> Drop for Receiver<A> {
    fn drop(&mut self) {
        if self.queue.take().is_some() {
            self.node.gate.close();
            self.node.first_init.set(Err(Failure::new("its thread has ended")));
            self.node.ended.set(());
        }
    }
}

impl<A: Actor> Cell<A> {
    pub(crate) fn new(node: Arc<Node>, system: System) -> (Arc<Self>, Receiver<A>) {
        // 0 is actix's word for no bound; ours is kept by the gate of the node.
        let (queue, receiver) = channel(0);
        let receiver = Receiver { node: Arc::clone(&node), queue: Some(receiver) };
        (Arc::new(Self { node, system, queue }), receiver)
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    pub(super) fn system(&self) -> &System {
        &self.system
    }

    /// Queues a parcel that the gate has counted in. The error: the queue is closed.
    pub(crate) fn push<M: Message>(&self, parcel: Parcel<M>) -> Result<(), Parcel<M>>
    where
        A: Handler<M>,
    {
        self.queue.do_send(Posted(parcel)).map_err(|error| match error {
            SendError::Closed(Posted(parcel)) | SendError::Full(Posted(parcel)) => {
                self.node.gate.leave();
                parcel
            }
        })
    }
}
