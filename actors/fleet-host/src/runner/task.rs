//! The task of one unit.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oa_fleet::UnitName;
use oa_fleet::unit::UnitDesire;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::link::{Link, News, clear_up, last_status};
use super::{Places, Wish};
use crate::keeper::{Phase, Said, Status, boot, kill_keeper};
use crate::service::Plan;
use crate::states::{Kept, States, View};

/// Pause before a keeper that could not be started is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// So many tries in a row, and the unit counts as failed; a single keeper may have been killed at its start.
const TRIES: u32 = 3;
/// How often a trouble that stays is said again.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// The sub state of a unit whose keeper does not answer: what was last known of it may be true no longer.
const UNRESPONSIVE: &str = "unresponsive";

pub(super) struct Task {
    unit: UnitName,
    wish: watch::Receiver<Wish>,
    is_idle: Arc<AtomicBool>,
    places: Arc<Places>,
    states: Arc<States>,
    link: Option<Link>,
    /// Whether what an earlier host left is known.
    has_looked: bool,
    /// How the unit ended by itself: that launch is done, and is not begun again.
    ended: Option<Status>,
    /// What goes wrong just now, and when it was said.
    trouble: Option<(String, Instant)>,
    /// Steps in a row that failed.
    failures: u32,
    /// What goes wrong with the output.
    output_trouble: Option<String>,
    is_suppressed: bool,
}

impl Task {
    pub(super) fn new(
        unit: UnitName,
        wish: watch::Receiver<Wish>,
        is_idle: Arc<AtomicBool>,
        places: Arc<Places>,
        states: Arc<States>,
    ) -> Self {
        Self {
            unit,
            wish,
            is_idle,
            places,
            states,
            link: None,
            has_looked: false,
            ended: None,
            trouble: None,
            failures: 0,
            output_trouble: None,
            is_suppressed: false,
        }
    }

    /// Runs until the unit is forgotten, or the host stops.
    pub(super) async fn run(mut self) {
        loop {
            let wish = self.wish.borrow_and_update().clone();
            match self.step(&wish).await {
                Ok(true) => (self.trouble, self.failures) = (None, 0),
                Ok(false) => return,
                Err(why) => {
                    self.complain(&why);
                    if matches!(wish, Wish::Halt) {
                        return;
                    }
                    tokio::select! { _ = self.wish.changed() => {}, () = sleep(TRY_AGAIN_AFTER) => {} }
                }
            }
        }
    }

    /// Says and shows what went wrong; what stays wrong is said again only after a while.
    fn complain(&mut self, why: &io::Error) {
        self.failures += 1;
        let text = why.to_string();
        let is_said = self
            .trouble
            .as_ref()
            .is_some_and(|(last, said)| *last == text && said.elapsed() < SAY_AGAIN_AFTER);
        if !is_said {
            tracing::error!(unit = %self.unit, "failed to keep it, trying again: {text}");
            self.trouble = Some((text, Instant::now()));
        }
        let is_silent = why.kind() == io::ErrorKind::TimedOut;
        let last = last_status(&self.places, &self.unit).filter(|_| is_silent);
        if let Some(last) = last {
            self.show(&last.hash, UnitDesire::Launched, (last.phase.systemd().0, UNRESPONSIVE));
        } else if let Wish::Run { plan } = &*self.wish.borrow() {
            let again = self.failures < TRIES;
            let phase = if again { Phase::AutoRestart } else { Phase::Failed };
            self.show(&plan.hash, UnitDesire::Launched, phase.systemd());
        }
    }

    /// Finds what an earlier host left: a keeper at work, or the word of one that ended.
    async fn find(&mut self, wish: &Wish) -> io::Result<()> {
        self.link = match Link::adopt(&self.places, &self.unit).await {
            Err(why) if why.kind() == io::ErrorKind::TimedOut && !wish.is_running() => {
                tracing::error!(unit = %self.unit, "{why}; it is to be stopped, so it is killed");
                self.kill().await?;
                None
            }
            found => found?,
        };
        self.has_looked = true;
        match &self.link {
            Some(link) => {
                oa_crash_points::crash_point!(HostAdopted);
                let process = link.last.status.process.as_ref().map(|process| process.pid);
                tracing::info!(unit = %self.unit, ?process, "adopted");
                self.heard();
            }
            None => {
                self.places.ledger.look_soon();
                self.ended = last_status(&self.places, &self.unit).filter(is_done);
            }
        }
        Ok(())
    }

    /// One step towards the wish; `false` when the task is over.
    async fn step(&mut self, wish: &Wish) -> io::Result<bool> {
        self.is_idle.store(false, Ordering::Release);
        if !self.has_looked {
            self.find(wish).await?;
        }
        let was_kept = self.link.is_some();
        match wish {
            Wish::Run { plan } => {
                self.keep_running(plan).await?;
                return Ok(true);
            }
            Wish::Undefined { why } => return Ok(self.leave_alone(why).await),
            Wish::Held { launch, ends: false, .. } if self.keeps(*launch) => {
                self.watch().await?;
                return Ok(true);
            }
            _ => self.stop_keeper().await?,
        }
        match wish {
            Wish::Held { hash, state, .. } => {
                if was_kept {
                    // The same launch begins anew when nothing holds it any more.
                    self.ended = None;
                    self.states.launch_is_undone(&self.unit);
                }
                // Fleet has it launched: what it waits for is between units of the machine.
                self.show(hash, UnitDesire::Launched, *state);
            }
            Wish::Loaded { hash } => {
                let failed = self
                    .ended
                    .as_ref()
                    .is_some_and(|last| last.phase == Phase::Failed && last.hash == *hash);
                let phase = if failed { Phase::Failed } else { Phase::Dead };
                self.show(hash, UnitDesire::Loaded, phase.systemd());
            }
            Wish::Inactive => {
                self.ended = None;
                self.states.remove(&self.unit);
            }
            Wish::Halt => return Ok(false),
            Wish::Gone => {
                self.ended = None;
                self.states.remove(&self.unit);
                remove(&self.places, &self.unit)?;
                oa_crash_points::crash_point!(HostDirectoryRemoved);
                self.is_idle.store(true, Ordering::Release);
            }
            Wish::Run { .. } | Wish::Undefined { .. } => {}
        }
        Ok(self.wish.changed().await.is_ok())
    }

    /// Whether its keeper is at work on this launch.
    fn keeps(&self, launch: u64) -> bool {
        self.link.as_ref().is_some_and(|link| link.last.status.launch == launch)
    }

    /// Waits for news of the launch that is wanted, or begins it.
    async fn keep_running(&mut self, plan: &Plan) -> io::Result<()> {
        if self.link.as_ref().is_some_and(|link| link.last.status.launch == plan.launch) {
            return self.watch().await;
        }
        if self.link.is_none()
            && let Some(ended) = self.ended.as_ref().filter(|last| last.launch == plan.launch)
        {
            self.states.came_to(&self.unit, ended.launch, ended.phase);
            self.show(&ended.hash, UnitDesire::Launched, ended.phase.systemd());
            let _host_is_gone = self.wish.changed().await;
            return Ok(());
        }
        self.stop_keeper().await?;
        self.ended = None;
        self.show(&plan.hash, UnitDesire::Launched, Phase::Starting.systemd());
        // Until it is reached, it may have died and left something behind, which the next step looks for.
        self.has_looked = false;
        self.link = Link::start(&self.places, &self.unit, plan).await?;
        if self.link.is_some() {
            self.has_looked = true;
            self.heard();
            return Ok(());
        }
        // It may have been over before it could be reached.
        self.ended = last_status(&self.places, &self.unit).filter(is_done);
        match self.ended.as_ref().filter(|last| last.launch == plan.launch) {
            Some(_) => Ok(()),
            None => {
                Err(io::Error::other("its keeper ended at once; see keeper.log in its directory"))
            }
        }
    }

    /// Follows the keeper until it has news or something else is wanted.
    async fn watch(&mut self) -> io::Result<()> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let news = tokio::select! {
            _ = self.wish.changed() => return Ok(()),
            news = link.next() => news,
        };
        match news {
            News::Said => self.heard(),
            News::Silent => self.say_silent(),
            News::Gone => self.keeper_is_gone().await?,
        }
        Ok(())
    }

    /// What runs goes on, but nothing is begun or ended: how, the damaged definition does not say.
    async fn leave_alone(&mut self, why: &str) -> bool {
        if self.link.is_none() {
            let hash = last_status(&self.places, &self.unit).map(|last| last.hash);
            let view = View {
                hash: hash.unwrap_or_default(),
                current: UnitDesire::Loaded,
                load: "error",
                active: "inactive",
                sub: "dead",
            };
            self.states.set(&self.unit, view);
            return self.wish.changed().await.is_ok();
        }
        if let Some(view) = self.states.get(&self.unit) {
            self.states.set(&self.unit, View { load: "error", ..view });
        }
        if let Err(failed) = self.watch().await {
            tracing::error!(unit = %self.unit, "{failed}; and its definition is damaged: {why}");
        }
        true
    }

    /// The connection is over. A keeper that still lives is reached again; one that died is cleared up behind.
    async fn keeper_is_gone(&mut self) -> io::Result<()> {
        let Some(link) = self.link.take() else { return Ok(()) };
        let last = link.last.status.clone();
        link.part().await;
        self.states.keeper_is_gone(&self.unit);
        if last.phase.is_final() {
            clear_up(&self.places, &self.places.run_of(&self.unit)).await?;
            // One that was stopped was so by a host that died over it; here it may be wanted, and is begun again then.
            self.ended = Some(last).filter(is_done);
            return Ok(());
        }
        // Until it is known what became of it, nothing is begun.
        self.has_looked = false;
        let wish = self.wish.borrow().clone();
        self.find(&wish).await?;
        if self.link.is_none() && self.ended.is_none() {
            // Killed: the next step starts the unit again, if it is still wanted.
            tracing::warn!(unit = %self.unit, "its keeper died; what it left is ended");
        }
        Ok(())
    }

    /// Stops the unit and waits for the end of its keeper. One that does not answer is killed, and its unit.
    async fn stop_keeper(&mut self) -> io::Result<()> {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        link.ask_to_stop().await;
        oa_crash_points::crash_point!(HostStopAsked);
        loop {
            match link.next().await {
                News::Said => {
                    let status = &link.last.status;
                    if !status.phase.is_final() {
                        self.show(&status.hash, UnitDesire::Launched, status.phase.systemd());
                    }
                }
                News::Silent => {
                    tracing::error!(
                        unit = %self.unit,
                        "its keeper does not answer; it is to be stopped, so it is killed"
                    );
                    self.states.keeper_is_gone(&self.unit);
                    link.part().await;
                    return self.kill().await;
                }
                News::Gone if link.last.status.phase.is_final() => break,
                News::Gone => {
                    link.part().await;
                    match Link::adopt(&self.places, &self.unit).await? {
                        Some(again) => link = again,
                        None => return Ok(()),
                    }
                    link.ask_to_stop().await;
                }
            }
        }
        let last = link.last.status.clone();
        self.states.came_to(&self.unit, last.launch, last.phase);
        // A stop may fail, too.
        self.ended = Some(last).filter(|last| last.phase == Phase::Failed);
        link.part().await;
        self.states.keeper_is_gone(&self.unit);
        let cleared = clear_up(&self.places, &self.places.run_of(&self.unit)).await;
        oa_crash_points::crash_point!(HostBuried);
        cleared
    }

    /// Kills a keeper that is stuck, and all of its unit.
    async fn kill(&mut self) -> io::Result<()> {
        let directory = self.places.run_of(&self.unit);
        kill_keeper(&directory);
        let cleared = clear_up(&self.places, &directory).await;
        self.places.ledger.look_soon();
        cleared
    }

    /// Shows what the keeper said last, and logs what a person should know of it.
    fn heard(&mut self) {
        let Some(link) = &self.link else { return };
        let said: Said = link.last.clone();
        let status = &said.status;
        self.show(&status.hash, UnitDesire::Launched, status.phase.systemd());
        self.states.came_to(&self.unit, status.launch, status.phase);
        let (now, before) = (&said.output.trouble, &self.output_trouble);
        match now {
            Some(why) if before.is_none() => {
                tracing::error!(unit = %self.unit, "its output cannot be written and is lost: {why}");
            }
            None if before.is_some() => {
                tracing::info!(unit = %self.unit, "its output is written again");
            }
            _ => {}
        }
        if said.output.is_suppressed && !self.is_suppressed {
            let rate = said.output.bytes_per_second;
            tracing::warn!(unit = %self.unit, "it prints too much ({rate} bytes a second); a part is not kept");
        }
        self.output_trouble.clone_from(&said.output.trouble);
        self.is_suppressed = said.output.is_suppressed;
        self.states.keeper_said(&self.unit, Kept { said, answers: true });
    }

    fn say_silent(&self) {
        let Some(link) = &self.link else { return };
        tracing::error!(unit = %self.unit, "its keeper does not answer; the unit may be running or not");
        let status = &link.last.status;
        self.show(&status.hash, UnitDesire::Launched, (status.phase.systemd().0, UNRESPONSIVE));
        self.states.keeper_said(&self.unit, Kept { said: link.last.clone(), answers: false });
    }

    fn show(&self, hash: &str, current: UnitDesire, (active, sub): (&'static str, &'static str)) {
        self.states
            .set(&self.unit, View { hash: hash.to_owned(), current, load: "loaded", active, sub });
    }
}

/// Whether a launch came to its end by itself before this host began: it is not repeated, except after a boot, when
/// everything begins anew.
fn is_done(status: &Status) -> bool {
    status.phase.is_final() && !status.was_stopped && status.boot == boot()
}

fn remove(places: &Places, unit: &UnitName) -> io::Result<()> {
    match std::fs::remove_dir_all(places.run_of(unit)) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}
