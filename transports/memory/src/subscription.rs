//! A consumer of one mailbox.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use oa_runtime::Address;
use oa_runtime::transport::{MailboxKind, SubscriptionControl};
use tokio::sync::Notify;

use crate::queue::Queue;
use crate::transport::Shared;

/// A consumer of one mailbox.
pub(crate) struct Consuming {
    pub(crate) shared: Weak<Shared>,
    pub(crate) address: Address,
    pub(crate) queue: Arc<Queue>,
    pub(crate) consumer: u64,
    pub(crate) idle: Arc<Notify>,
}

impl Consuming {
    async fn idle(&self) {
        loop {
            let mut idle = std::pin::pin!(self.idle.notified());
            idle.as_mut().enable();
            if self.queue.in_hand(self.consumer) == 0 {
                return;
            }
            idle.await;
        }
    }

    fn end(&self) -> usize {
        let unsettled = self.queue.forget(self.consumer);
        if self.queue.kind == MailboxKind::Private
            && let Some(shared) = self.shared.upgrade()
        {
            shared.remove(&self.address, &self.queue);
        }
        unsettled
    }
}

impl SubscriptionControl for Consuming {
    fn close(&self, within: Duration) -> BoxFuture<'_, usize> {
        Box::pin(async move {
            self.queue.pause(self.consumer);
            // What is left then is given back.
            let _ = tokio::time::timeout(within, self.idle()).await;
            self.end()
        })
    }

    fn abort(&self) {
        self.end();
    }

    fn in_flight(&self) -> usize {
        self.queue.in_hand(self.consumer)
    }
}
