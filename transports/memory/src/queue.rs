//! One mailbox: what waits, what is in hand, what is parked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oa_runtime::transport::{Delivery, Frame, MailboxKind, ParkedMail, Settled, Settlement, Sink};
use oa_runtime::{Envelope, MessageId};
use tokio::sync::{Notify, oneshot};

use crate::transport::Shared;

/// How long a retry without a time of its own is held back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// One mailbox.
pub(crate) struct Queue {
    pub(crate) kind: MailboxKind,
    shared: Weak<Shared>,
    state: Mutex<State>,
    me: Weak<Queue>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Item>,
    in_hand: HashMap<u64, (Item, u64)>,
    parked: VecDeque<Parked>,
    consumers: Vec<Consumer>,
    /// Who waits for the settlement of a message.
    awaited: HashMap<MessageId, Vec<oneshot::Sender<()>>>,
    /// Held back by the timer.
    delayed: usize,
    next: u64,
    /// Somebody hands over at the moment and will look again before it leaves.
    pumping: bool,
}

/// A message as bytes.
#[derive(Clone)]
struct Item {
    frame: Arc<Frame>,
    attempt: u32,
    /// Its id, if somebody waits for its settlement.
    awaited: Option<MessageId>,
}

struct Parked {
    item: Item,
    reason: String,
    at_ms: i64,
}

struct Consumer {
    id: u64,
    window: usize,
    in_hand: usize,
    open: bool,
    sink: Arc<dyn Sink>,
    idle: Arc<Notify>,
}

impl Queue {
    pub(crate) fn new(kind: MailboxKind, shared: Weak<Shared>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self { kind, shared, state: Mutex::default(), me: me.clone() })
    }

    /// Takes a message, unless there are `capacity` already. One that is here and awaited already gets another waiter,
    /// and no second copy.
    pub(crate) fn push(
        &self,
        frame: Frame,
        attempt: u32,
        capacity: usize,
        waiter: Option<(MessageId, oneshot::Sender<()>)>,
    ) -> bool {
        let awaited = waiter.as_ref().map(|(id, _)| *id);
        let item = Item { frame: Arc::new(frame), attempt, awaited };
        let Some(shared) = self.shared.upgrade() else { return false };
        {
            let mut state = self.lock();
            if state.ready.len() + state.in_hand.len() + state.delayed >= capacity {
                return false;
            }
            if let Some((id, waiter)) = waiter {
                let is_here = state.awaited.contains_key(&id);
                let waiters = state.awaited.entry(id).or_default();
                waiters.retain(|waiter| !waiter.is_closed());
                waiters.push(waiter);
                if is_here {
                    return true;
                }
            }
            let copies = if shared.dice.duplicates() { 2 } else { 1 };
            for _ in 0..copies {
                match shared.dice.delay() {
                    Some(delay) => self.hold_back(&mut state, &shared, item.clone(), delay),
                    None => {
                        let at = state.ready.len() - shared.dice.overtakes(state.ready.len());
                        state.ready.insert(at, item.clone());
                    }
                }
            }
        }
        self.pump();
        true
    }

    /// Adds a consumer; none if the mailbox is private and has one.
    pub(crate) fn consume(&self, window: usize, sink: Arc<dyn Sink>) -> Option<(u64, Arc<Notify>)> {
        let idle = Arc::new(Notify::new());
        let id = {
            let mut state = self.lock();
            if self.kind == MailboxKind::Private && !state.consumers.is_empty() {
                return None;
            }
            let id = state.number();
            let consumer = Consumer {
                id,
                window: window.max(1),
                in_hand: 0,
                open: true,
                sink,
                idle: Arc::clone(&idle),
            };
            state.consumers.push(consumer);
            id
        };
        self.pump();
        Some((id, idle))
    }

    /// Hands nothing more to the consumer.
    pub(crate) fn pause(&self, consumer: u64) {
        let mut state = self.lock();
        if let Some(consumer) = state.consumer(consumer) {
            consumer.open = false;
        }
    }

    pub(crate) fn in_hand(&self, consumer: u64) -> usize {
        self.lock().consumer(consumer).map_or(0, |consumer| consumer.in_hand)
    }

    /// Forgets the consumer; what it has not settled goes back to where it was. Returns how many those were.
    pub(crate) fn forget(&self, consumer: u64) -> usize {
        let (unsettled, removed) = {
            let mut state = self.lock();
            let removed = state.consumers.iter().position(|known| known.id == consumer);
            let removed = removed.map(|at| state.consumers.remove(at));
            let mut tags: Vec<u64> = state
                .in_hand
                .iter()
                .filter(|(_, (_, of))| *of == consumer)
                .map(|(tag, _)| *tag)
                .collect();
            tags.sort_unstable();
            for tag in tags.iter().rev() {
                if let Some((item, _)) = state.in_hand.remove(tag) {
                    state.ready.push_front(item);
                }
            }
            (tags.len(), removed)
        };
        // The sink may hold much; it is dropped without the lock.
        drop(removed);
        self.pump();
        unsettled
    }

    /// Hands over while there is something to take and somebody to take it.
    pub(crate) fn pump(&self) {
        if std::mem::replace(&mut self.lock().pumping, true) {
            return;
        }
        let _unwinding = StopPumping(self);
        while let Some((tag, item, sink)) = self.next() {
            let Some(queue) = self.me.upgrade() else { return };
            match item.frame.open() {
                Ok(mut envelope) => {
                    envelope.attempt = item.attempt;
                    let settlement = Settlement::new(move |how| queue.settle(tag, how));
                    sink.deliver(Delivery { envelope, settlement });
                }
                Err(error) => self.settle(tag, Settled::Park { reason: error.to_string() }),
            }
        }
    }

    /// The next message and who takes it. `None` ends the pumping, under the same lock that would have shown more.
    fn next(&self) -> Option<(u64, Item, Arc<dyn Sink>)> {
        let mut state = self.lock();
        let free = |consumer: &Consumer| consumer.open && consumer.in_hand < consumer.window;
        let Some(taker) = state.consumers.iter().position(free).filter(|_| !state.ready.is_empty())
        else {
            state.pumping = false;
            return None;
        };
        let item = state.ready.pop_front()?;
        let tag = state.number();
        let consumer = &mut state.consumers[taker];
        consumer.in_hand += 1;
        let (id, sink) = (consumer.id, Arc::clone(&consumer.sink));
        // The next one goes to the next consumer.
        state.consumers[taker..].rotate_left(1);
        state.in_hand.insert(tag, (item.clone(), id));
        Some((tag, item, sink))
    }

    fn settle(&self, tag: u64, how: Settled) {
        {
            let mut state = self.lock();
            // A consumer that was forgotten has nothing to settle.
            let Some((mut item, consumer)) = state.in_hand.remove(&tag) else { return };
            if let Some(consumer) = state.consumer(consumer) {
                consumer.in_hand -= 1;
                consumer.idle.notify_waiters();
            }
            match how {
                Settled::Done => {
                    state.tell_waiters(&item);
                    self.acknowledged(&mut state, item);
                }
                Settled::Release => state.ready.push_front(item),
                Settled::Park { reason } => {
                    state.tell_waiters(&item);
                    state.parked.push_back(Parked { item, reason, at_ms: now_ms() })
                }
                Settled::Retry { after } => {
                    item.attempt += 1;
                    if let Some(shared) = self.shared.upgrade() {
                        self.hold_back(&mut state, &shared, item, after.unwrap_or(RETRY_AFTER));
                    }
                }
            }
        }
        self.pump();
    }

    fn acknowledged(&self, state: &mut State, item: Item) {
        if self.shared.upgrade().is_some_and(|shared| shared.dice.loses_ack()) {
            state.ready.push_back(item);
        }
    }

    fn hold_back(&self, state: &mut State, shared: &Shared, item: Item, delay: Duration) {
        if delay.is_zero() {
            state.ready.push_back(item);
            return;
        }
        state.delayed += 1;
        let queue = self.me.clone();
        shared.timer.after(delay, move || {
            if let Some(queue) = queue.upgrade() {
                {
                    let mut state = queue.lock();
                    state.delayed -= 1;
                    state.ready.push_back(item);
                }
                queue.pump();
            }
        });
    }

    pub(crate) fn parked(&self, limit: usize) -> Vec<ParkedMail> {
        let state = self.lock();
        state.parked.iter().take(limit).filter_map(Parked::open).collect()
    }

    /// Puts a parked message back, as attempt 1.
    pub(crate) fn replay(&self, id: MessageId) -> bool {
        {
            let mut state = self.lock();
            let Some(mut parked) = state.take_parked(id) else { return false };
            parked.item.attempt = 1;
            state.ready.push_back(parked.item);
        }
        self.pump();
        true
    }

    pub(crate) fn discard(&self, id: MessageId) -> bool {
        self.lock().take_parked(id).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sink that panics must not leave the mailbox without anybody who hands over.
struct StopPumping<'a>(&'a Queue);

impl Drop for StopPumping<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().pumping = false;
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn consumer(&mut self, id: u64) -> Option<&mut Consumer> {
        self.consumers.iter_mut().find(|consumer| consumer.id == id)
    }

    /// What `item` caused is durable, or it waits for a person.
    fn tell_waiters(&mut self, item: &Item) {
        let waiters = item.awaited.and_then(|id| self.awaited.remove(&id)).unwrap_or_default();
        for waiter in waiters {
            let _gave_up = waiter.send(());
        }
    }

    fn take_parked(&mut self, id: MessageId) -> Option<Parked> {
        let is_it = |parked: &Parked| {
            parked.item.frame.open().is_ok_and(|envelope| envelope.message_id == id)
        };
        let at = self.parked.iter().position(is_it)?;
        self.parked.remove(at)
    }
}

impl Parked {
    fn open(&self) -> Option<ParkedMail> {
        let envelope: Envelope = self.item.frame.open().ok()?;
        let envelope = Envelope { attempt: self.item.attempt, ..envelope };
        Some(ParkedMail { envelope, reason: self.reason.clone(), parked_at_ms: self.at_ms })
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
