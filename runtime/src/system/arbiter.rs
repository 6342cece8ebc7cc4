//! Threads that actors live on.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::latch::Latch;

/// How long the blocking tasks of a thread may go on after it was told to end.
const BLOCKING_LIMIT: Duration = Duration::from_millis(500);

type Job = Box<dyn FnOnce() + Send>;

enum Command {
    Run(Job),
    End,
}

/// A handle of one thread: a tokio runtime of its own and the actors that live there.
#[derive(Clone)]
pub(crate) struct Arbiter {
    commands: mpsc::UnboundedSender<Command>,
    ended: Arc<Latch<()>>,
    /// Which system it belongs to.
    system: u64,
}

thread_local! {
    static CURRENT: RefCell<Option<Arbiter>> = const { RefCell::new(None) };
}

impl Arbiter {
    pub(crate) fn start(name: String, system: u64) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (commands, mut received) = mpsc::unbounded_channel();
        let arbiter = Self { commands, ended: Arc::new(Latch::default()), system };
        let handle = arbiter.clone();
        thread::Builder::new().name(name).spawn(move || {
            CURRENT.set(Some(handle.clone()));
            let actors = LocalSet::new();
            actors.block_on(&runtime, async move {
                while let Some(Command::Run(job)) = received.recv().await {
                    job();
                }
            });
            // Nothing can be started here any more, also not by what is dropped now.
            CURRENT.set(None);
            {
                // What actors drop may want the runtime that they lived on.
                let _entered = runtime.enter();
                drop(actors);
            }
            runtime.shutdown_timeout(BLOCKING_LIMIT);
            handle.ended.set(());
        })?;
        Ok(arbiter)
    }

    /// Whether the thread that calls is one of that system's. It can start tasks itself then.
    pub(crate) fn is_current(system: u64) -> bool {
        CURRENT
            .with_borrow(|current| current.as_ref().is_some_and(|arbiter| arbiter.system == system))
    }

    /// Starts a task on the thread. False: it has ended.
    pub(crate) fn spawn<F>(&self, make: impl FnOnce() -> F + Send + 'static) -> bool
    where
        F: Future<Output = ()> + 'static,
    {
        let job: Job = Box::new(move || {
            tokio::task::spawn_local(make());
        });
        self.commands.send(Command::Run(job)).is_ok()
    }

    /// Drops the actors that are left and ends the thread.
    pub(crate) fn end(&self) {
        // A thread that has ended needs no order.
        let _ = self.commands.send(Command::End);
    }

    pub(crate) async fn ended(&self) {
        self.ended.wait().await;
    }
}
