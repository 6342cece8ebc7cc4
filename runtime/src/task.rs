//! Work beside the handlers of an actor.
//!
//! A task lives on the actor's thread and no longer than its incarnation: when that ends, the futures are dropped
//! at once, before the next `init` runs, so that what they hold (a socket, a lock) is free again.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::LocalBoxFuture;
use tokio::task::AbortHandle;

use crate::node::Node;
use crate::quiet::Caught;

/// Ends a task early. Dropping it does not.
#[derive(Clone)]
pub struct TaskHandle {
    task: Weak<Task>,
}

impl TaskHandle {
    /// Drops the task's future.
    pub fn abort(&self) {
        if let Some(task) = self.task.upgrade() {
            task.abort();
        }
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.upgrade().is_none_or(|task| task.over.get())
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle").field("finished", &self.is_finished()).finish()
    }
}

/// Ends a timer early. Dropping it does not.
#[derive(Debug, Clone)]
pub struct TimerHandle {
    task: TaskHandle,
}

impl TimerHandle {
    pub(crate) fn new(task: TaskHandle) -> Self {
        Self { task }
    }

    /// Ends the timer. A message that it has sent already still arrives.
    pub fn cancel(&self) {
        self.task.abort();
    }
}

struct Task {
    future: RefCell<Caught<LocalBoxFuture<'static, ()>>>,
    /// Ended, or aborted: also by itself, while it is being polled.
    over: Cell<bool>,
    reaper: OnceCell<AbortHandle>,
}

impl Task {
    fn abort(&self) {
        self.over.set(true);
        // A task that aborts itself is being polled; it is dropped right after.
        if let Ok(mut future) = self.future.try_borrow_mut() {
            future.abort();
        }
        if let Some(reaper) = self.reaper.get() {
            reaper.abort();
        }
    }

    fn poll(&self, cx: &mut Context<'_>, node: &Node) -> Poll<()> {
        if self.over.get() {
            return Poll::Ready(());
        }
        let Ok(mut future) = self.future.try_borrow_mut() else { return Poll::Pending };
        let polled = future.poll(cx);
        match polled {
            Poll::Pending if self.over.get() => future.abort(),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(failure)) => node.signals.fail(failure),
        }
        self.over.set(true);
        Poll::Ready(())
    }
}

/// The tasks of one incarnation.
pub(crate) struct TaskSet {
    node: Arc<Node>,
    tasks: RefCell<HashMap<u64, Rc<Task>>>,
    next: Cell<u64>,
    ended: Cell<bool>,
}

impl TaskSet {
    pub(crate) fn new(node: Arc<Node>) -> Rc<Self> {
        Rc::new(Self {
            node,
            tasks: RefCell::default(),
            next: Cell::new(0),
            ended: Cell::new(false),
        })
    }

    pub(crate) fn spawn(self: &Rc<Self>, future: impl Future<Output = ()> + 'static) -> TaskHandle {
        let future: LocalBoxFuture<'static, ()> = Box::pin(future);
        let future = RefCell::new(Caught::new(future));
        let task = Rc::new(Task { future, over: Cell::new(false), reaper: OnceCell::new() });
        let handle = TaskHandle { task: Rc::downgrade(&task) };
        if self.ended.get() {
            return handle;
        }
        let id = self.next.replace(self.next.get() + 1);
        let (set, polled) = (Rc::clone(self), Rc::clone(&task));
        self.tasks.borrow_mut().insert(id, Rc::clone(&task));
        let running = tokio::task::spawn_local(async move {
            std::future::poll_fn(|cx| polled.poll(cx, &set.node)).await;
            set.tasks.borrow_mut().remove(&id);
        });
        // Set once, right here.
        let _ = task.reaper.set(running.abort_handle());
        handle
    }

    /// Drops every future of the incarnation.
    pub(crate) fn end(&self) {
        self.ended.set(true);
        // Taken out first: a future's `Drop` may look at the set.
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        for task in tasks.values() {
            task.abort();
        }
    }
}
