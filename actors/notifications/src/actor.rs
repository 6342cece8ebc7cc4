//! The component: it registers and says that it runs.

use std::time::Duration;

use oa_protocol::Registration;
use oa_runtime::{Actor, ChildSpec, Context, Failure, PostOffice};

/// What Management calls this component.
const MODULE: &str = "notifications";

/// What the [`Notifications`] begins from.
#[derive(Clone)]
pub struct NotificationsArgs {
    /// How it reaches Management.
    pub post_office: PostOffice,
}

/// Registers with Management and stays registered while it runs.
pub struct Notifications {
    registration: Registration,
}

impl Actor for Notifications {
    const KIND: &'static str = "notifications";
    type Args = NotificationsArgs;

    async fn init(args: &NotificationsArgs, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        let registration = Registration::new(&args.post_office, MODULE);
        ctx.spawn_task(registration.clone().keep());
        Ok(Self { registration })
    }

    async fn stopping(&mut self, _ctx: &mut Context<Self>) {
        self.registration.end().await;
    }
}

/// A permanent component.
pub fn child_spec(args: NotificationsArgs) -> ChildSpec<Notifications> {
    ChildSpec::new(args).drain(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use oa_protocol::mailbox;
    use oa_protocol::module::Heartbeat;
    use oa_runtime::{Handler, Mailbox, System};
    use oa_transport_memory::MemoryTransport;
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// Stands in for Management: hears heartbeats.
    struct Management(UnboundedSender<Heartbeat>);

    impl Actor for Management {
        const KIND: &'static str = "management";
        type Args = UnboundedSender<Heartbeat>;

        async fn init(heard: &Self::Args, _ctx: &mut Context<Self>) -> Result<Self, Failure> {
            Ok(Self(heard.clone()))
        }
    }

    impl Handler<Heartbeat> for Management {
        async fn handle(
            &mut self,
            heartbeat: Heartbeat,
            _ctx: &mut Context<Self>,
        ) -> Result<(), Failure> {
            let _ = self.0.send(heartbeat);
            Ok(())
        }
    }

    #[tokio::test]
    async fn it_registers_once_management_is_there_and_says_goodbye() {
        let system = System::builder("test").arbiters(1).build();
        let management_system = System::builder("management").arbiters(1).build();
        let office = PostOffice::new(&system, "node-1", "", Arc::new(MemoryTransport::new()));
        system
            .spawn_ready(child_spec(NotificationsArgs { post_office: office.clone() }), SOON)
            .await
            .expect("it starts");

        let (send, mut heard) = unbounded_channel();
        let management =
            management_system.spawn_ready::<Management>(ChildSpec::new(send), SOON).await;
        let management = management.expect("it starts");
        let mailbox = Mailbox::new(office.address(mailbox::SYSTEM_MODULES))
            .accept::<Heartbeat, _>(&management);
        let _subscription = office.serve(mailbox).await.expect("the mailbox is free");
        let first =
            tokio::time::timeout(SOON, heard.recv()).await.expect("it registers").expect("one");
        assert_eq!(
            (first.hostname.as_str(), first.kind.as_str(), first.status.as_str()),
            ("node-1", MODULE, "active")
        );

        system.shutdown(SOON).await;
        let last =
            tokio::time::timeout(SOON, heard.recv()).await.expect("it says goodbye").expect("one");
        assert_eq!(last.status, "inactive");
        management_system.shutdown(SOON).await;
    }
}
