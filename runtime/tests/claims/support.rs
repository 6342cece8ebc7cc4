//! An actor that does what it is told and says what happens to it.

use std::time::Duration;

use oa_runtime::{Actor, ActorRef, Backoff, ChildSpec, Context, Failure, Handler, Message, System};
use tokio::sync::{mpsc, oneshot};

/// Longer than anything takes; reached only when a promise is broken.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Says what happens to it: `a up`, `a stopping`, `a down`.
pub(crate) struct Probe {
    args: ProbeArgs,
    count: u64,
}

/// What a probe begins from.
#[derive(Clone)]
pub(crate) struct ProbeArgs {
    pub(crate) name: String,
    pub(crate) log: mpsc::UnboundedSender<String>,
    /// Started by `init`, in order.
    pub(crate) children: Vec<ChildSpec<Probe>>,
}

impl Actor for Probe {
    const KIND: &'static str = "probe";
    type Args = ProbeArgs;

    async fn init(args: &ProbeArgs, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        for child in &args.children {
            ctx.spawn_child(child.clone())?;
        }
        let probe = Self { args: args.clone(), count: 0 };
        probe.say("up");
        Ok(probe)
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        self.say("stopping");
    }
}

impl Probe {
    fn say(&self, what: &str) {
        // The test may have ended.
        let _ = self.args.log.send(format!("{} {what}", self.args.name));
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.say("down");
    }
}

macro_rules! message {
    ($(#[$doc:meta])* $name:ident $(($field:ty))? -> $reply:ty) => {
        $(#[$doc])*
        pub(crate) struct $name $((pub(crate) $field))?;
        impl Message for $name {
            type Reply = $reply;
        }
    };
}

message!(/// Counts, and answers with the sum.
    Add(u64) -> u64);
message!(/// Panics.
    Panic -> ());
message!(/// Crashes by `ctx.fail`.
    Crash -> ());
message!(/// Returns an error.
    Refuse -> ());
message!(/// Ends normally.
    Finish -> ());
message!(/// Says that it has begun, then waits to be let go.
    Hold((oneshot::Sender<()>, oneshot::Receiver<()>)) -> ());
message!(/// Starts a child.
    Adopt(ChildSpec<Probe>) -> ActorRef<Probe>);
message!(/// Stops a child.
    Dismiss(&'static str) -> usize);

impl Handler<Add> for Probe {
    async fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> Result<u64, Failure> {
        self.count += n;
        Ok(self.count)
    }
}

impl Handler<Panic> for Probe {
    async fn handle(&mut self, _: Panic, _: &mut Context<Self>) -> Result<(), Failure> {
        panic!("as told")
    }
}

impl Handler<Crash> for Probe {
    async fn handle(&mut self, _: Crash, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.fail(Failure::new("as told"));
        Ok(())
    }
}

impl Handler<Refuse> for Probe {
    async fn handle(&mut self, _: Refuse, _: &mut Context<Self>) -> Result<(), Failure> {
        Err(Failure::permanent("no"))
    }
}

impl Handler<Finish> for Probe {
    async fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.stop();
        Ok(())
    }
}

impl Handler<Hold> for Probe {
    async fn handle(
        &mut self,
        Hold((begun, go)): Hold,
        _: &mut Context<Self>,
    ) -> Result<(), Failure> {
        begun.send(()).map_err(|()| Failure::new("the test has ended"))?;
        go.await?;
        Ok(())
    }
}

impl Handler<Adopt> for Probe {
    async fn handle(
        &mut self,
        Adopt(spec): Adopt,
        ctx: &mut Context<Self>,
    ) -> Result<ActorRef<Probe>, Failure> {
        Ok(ctx.spawn_child(spec)?)
    }
}

impl Handler<Dismiss> for Probe {
    async fn handle(
        &mut self,
        Dismiss(name): Dismiss,
        ctx: &mut Context<Self>,
    ) -> Result<usize, Failure> {
        ctx.stop_child(name);
        Ok(ctx.child_count())
    }
}

/// What the probes of one test say.
pub(crate) struct Log {
    sender: mpsc::UnboundedSender<String>,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Log {
    pub(crate) fn new() -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        Self { sender, lines }
    }

    /// A probe that rests for no time after a failure.
    pub(crate) fn probe(&self, name: &str) -> ChildSpec<Probe> {
        self.parent(name, Vec::new())
    }

    pub(crate) fn parent(&self, name: &str, children: Vec<ChildSpec<Probe>>) -> ChildSpec<Probe> {
        let args = ProbeArgs { name: name.to_owned(), log: self.sender.clone(), children };
        ChildSpec::new(args).name(name).backoff(Backoff::none())
    }

    pub(crate) async fn next(&mut self) -> String {
        let line = tokio::time::timeout(SOON, self.lines.recv()).await;
        line.expect("a probe says something soon").expect("the log holds a sender")
    }

    /// The next lines, in order.
    pub(crate) async fn expect(&mut self, lines: &[&str]) {
        let mut said = Vec::new();
        for _ in lines {
            said.push(self.next().await);
        }
        assert_eq!(said, lines);
    }

    /// The next lines, in any order.
    pub(crate) async fn expect_unordered(&mut self, lines: &[&str]) {
        let mut said = Vec::new();
        for _ in lines {
            said.push(self.next().await);
        }
        said.sort();
        assert_eq!(said, lines);
    }

    pub(crate) fn is_silent(&mut self) -> bool {
        self.lines.try_recv().is_err()
    }
}

pub(crate) fn system() -> System {
    System::builder("test").arbiters(2).build()
}

/// Keeps an actor busy; `.1` lets it go.
pub(crate) async fn hold(actor: &ActorRef<Probe>) -> oneshot::Sender<()> {
    let (begun, has_begun) = oneshot::channel();
    let (go, may_go) = oneshot::channel();
    actor.tell(Hold((begun, may_go))).expect("there is room");
    has_begun.await.expect("it has begun");
    go
}
