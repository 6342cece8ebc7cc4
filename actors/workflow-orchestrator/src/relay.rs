//! Hands over what the store's outbox holds.

use oa_runtime::{Actor, Context, Failure, Handler, Message, PostOffice};
use oa_store::Store;

/// Runs the relay; ends, and is restarted, if the relay does.
pub(crate) struct RelayActor;

/// What a restart begins from.
#[derive(Clone)]
pub(crate) struct RelayArgs {
    pub(crate) store: Store,
    pub(crate) post_office: PostOffice,
}

impl Actor for RelayActor {
    const KIND: &'static str = "relay";
    type Args = RelayArgs;

    async fn init(args: &RelayArgs, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        let RelayArgs { store, post_office } = args.clone();
        ctx.pipe(async move {
            store.relay(post_office).await;
            RelayEnded
        });
        Ok(Self)
    }
}

/// The relay ended, which it does only when its database is closed.
struct RelayEnded;

impl Message for RelayEnded {
    type Reply = ();
}

impl Handler<RelayEnded> for RelayActor {
    async fn handle(&mut self, _: RelayEnded, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.fail(Failure::new("the relay ended: its database is closed"));
        Ok(())
    }
}
