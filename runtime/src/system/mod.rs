//! The threads, the root supervisor, and the way down to every actor.

mod arbiter;
mod builder;
mod root;
mod shutdown;
mod spawn;
mod tree;

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::broadcast;

pub(crate) use self::arbiter::Arbiter;
pub use self::builder::SystemBuilder;
pub use self::shutdown::ShutdownReport;
pub use self::spawn::SpawnError;
pub use self::tree::{ActorState, TreeNode};
use crate::actor::Actor;
use crate::actor_ref::ActorRef;
use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::failure::Failure;
use crate::latch::Latch;
use crate::node::Node;
use crate::path::ActorPath;
use crate::supervision::Ending;
use crate::watch::Kinds;

/// A tree of actors and the threads that they live on. Cheap to clone.
///
/// It is an object: two systems in one process know nothing of one another. When the last handle outside of its
/// actors is dropped without a [`shutdown`](System::shutdown), the threads end and the actors are dropped.
#[derive(Clone)]
pub struct System {
    inner: Arc<SystemInner>,
    /// Absent in handles that actors hold: they must not keep their own threads alive.
    _alive: Option<Arc<Alive>>,
}

/// Ends the threads when the last handle outside is gone.
struct Alive(Arc<SystemInner>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.end_threads();
    }
}

/// What all handles share.
pub(crate) struct SystemInner {
    name: String,
    id: u64,
    arbiters: Vec<Arbiter>,
    next_arbiter: AtomicUsize,
    next_key: AtomicU64,
    root: OnceLock<Arc<Node>>,
    terminated: Latch<Failure>,
    abandoned: Mutex<Vec<String>>,
    pub(crate) kinds: Kinds,
    pub(crate) dead_letters: DeadLetters,
}

impl System {
    /// Begins a system; its name is seen in the names of its threads.
    pub fn builder(name: impl Into<String>) -> SystemBuilder {
        SystemBuilder::new(name.into())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The actor at `path`, such as `/manager/heartbeats`, if it is of this type and lives.
    #[must_use]
    pub fn lookup<A: Actor>(&self, path: &str) -> Option<ActorRef<A>> {
        let mut node = Arc::clone(self.inner.root());
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let child = node.children().find(name).cloned()?;
            node = child;
        }
        ActorRef::of_node(&node)
    }

    /// All actors, as they are at this moment.
    #[must_use]
    pub fn tree(&self) -> TreeNode {
        self.inner.root().tree()
    }

    /// Listens to messages that were queued and then not handled, since their actor ended.
    #[must_use]
    pub fn dead_letters(&self) -> broadcast::Receiver<DeadLetter> {
        self.inner.dead_letters.listen()
    }

    /// Resolves when the root gave up, since top-level actors failed too often: the process should end. Also when
    /// the system was shut down.
    pub async fn terminated(&self) -> Failure {
        self.inner.terminated.wait().await
    }

    /// A handle for what lives in the system itself.
    pub(crate) fn inside(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), _alive: None }
    }

    pub(crate) fn inner(&self) -> &Arc<SystemInner> {
        &self.inner
    }
}

impl SystemInner {
    fn new(name: String, id: u64, arbiters: Vec<Arbiter>) -> Self {
        Self {
            name,
            id,
            arbiters,
            next_arbiter: AtomicUsize::new(0),
            next_key: AtomicU64::new(1),
            root: OnceLock::new(),
            terminated: Latch::default(),
            abandoned: Mutex::default(),
            kinds: Kinds::default(),
            dead_letters: DeadLetters::default(),
        }
    }

    fn root(&self) -> &Arc<Node> {
        self.root.get().expect("the builder sets the root before anybody has the system")
    }

    fn set_root(&self, root: Arc<Node>) {
        assert!(self.root.set(root).is_ok(), "the root is set once, by the builder");
    }

    fn next_key(&self) -> u64 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }

    fn next_arbiter(&self) -> Arbiter {
        let at = self.next_arbiter.fetch_add(1, Ordering::Relaxed);
        self.arbiters[at % self.arbiters.len()].clone()
    }

    fn arbiter_of_key(&self, key: u64) -> Arbiter {
        let count = self.arbiters.len() as u64;
        let at = usize::try_from(key % count).unwrap_or_default();
        self.arbiters[at].clone()
    }

    /// Runs a task that belongs to no actor: on the thread that calls, if it is one of ours. False: all have ended.
    pub(crate) fn run(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        if Arbiter::is_current(self.id) {
            tokio::task::spawn_local(task);
            return true;
        }
        self.next_arbiter().spawn(move || task)
    }

    /// Whether every actor has ended, for good.
    pub(crate) fn has_ended(&self) -> bool {
        self.terminated.is_set()
    }

    /// Notes an actor that did not end within its limit.
    pub(crate) fn abandon(&self, path: &ActorPath) {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_string());
    }

    /// The root has ended, and with it everything.
    pub(crate) fn root_ended(&self, ending: Ending) {
        self.terminated.set(match ending {
            Ending::Failed(failure) => failure,
            Ending::Normal | Ending::Ordered | Ending::Halted => {
                Failure::permanent("the system was shut down")
            }
        });
    }

    fn end_threads(&self) {
        self.arbiters.iter().for_each(Arbiter::end);
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "System({})", self.inner.name)
    }
}
