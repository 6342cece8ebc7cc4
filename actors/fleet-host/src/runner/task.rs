//! The task of one unit.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oa_fleet::UnitName;
use oa_fleet::unit::UnitDesire;
use tokio::sync::watch;
use tokio::time::sleep;

use super::link::{Link, last_status};
use super::{Places, Wish};
use crate::keeper::{Phase, Status, boot};
use crate::service::Plan;
use crate::states::{States, View};

/// Pause before a keeper that could not be started is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Task {
    unit: UnitName,
    wish: watch::Receiver<Wish>,
    is_idle: Arc<AtomicBool>,
    places: Arc<Places>,
    states: Arc<States>,
    link: Option<Link>,
    /// How the unit ended by itself: that launch is done, and is not begun again.
    ended: Option<Status>,
}

impl Task {
    pub(super) fn new(
        unit: UnitName,
        wish: watch::Receiver<Wish>,
        is_idle: Arc<AtomicBool>,
        places: Arc<Places>,
        states: Arc<States>,
    ) -> Self {
        Self { unit, wish, is_idle, places, states, link: None, ended: None }
    }

    /// Runs until the unit is forgotten, or the host stops.
    pub(super) async fn run(mut self) {
        while let Err(why) = self.find().await {
            tracing::error!(unit = %self.unit, "failed to look for its keeper: {why}");
            sleep(TRY_AGAIN_AFTER).await;
        }
        loop {
            let wish = self.wish.borrow_and_update().clone();
            match self.step(&wish).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => {
                    tracing::error!(unit = %self.unit, "failed to keep it: {why}");
                    if let Wish::Run { plan } = &wish {
                        let failed = Phase::Failed.systemd();
                        self.show(&plan.hash, UnitDesire::Launched, failed);
                    }
                    tokio::select! { _ = self.wish.changed() => {}, () = sleep(TRY_AGAIN_AFTER) => {} }
                }
            }
        }
    }

    /// Finds what an earlier host left: a keeper at work, or the word of one that ended.
    async fn find(&mut self) -> io::Result<()> {
        self.link = Link::adopt(&self.places, &self.unit).await?;
        match &self.link {
            Some(link) => {
                let process = link.last.process.as_ref().map(|process| process.pid);
                tracing::info!(unit = %self.unit, ?process, "adopted");
                self.show_status(&link.last);
            }
            None => self.ended = last_status(&self.places, &self.unit).filter(is_done),
        }
        Ok(())
    }

    /// One step towards the wish; `false` when the task is over.
    async fn step(&mut self, wish: &Wish) -> io::Result<bool> {
        self.is_idle.store(false, Ordering::Release);
        if let Wish::Run { plan } = wish {
            self.keep_running(plan).await?;
            return Ok(true);
        }
        self.stop_keeper().await?;
        match wish {
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
                remove(&self.places, &self.unit).await?;
                self.is_idle.store(true, Ordering::Release);
            }
            Wish::Run { .. } => {}
        }
        Ok(self.wish.changed().await.is_ok())
    }

    /// Waits for news of the launch that is wanted, or begins it.
    async fn keep_running(&mut self, plan: &Plan) -> io::Result<()> {
        if self.link.as_ref().is_some_and(|link| link.last.launch == plan.launch) {
            self.watch().await;
            return Ok(());
        }
        if self.link.is_none()
            && let Some(ended) = self.ended.as_ref().filter(|last| last.launch == plan.launch)
        {
            self.show_status(ended);
            let _host_is_gone = self.wish.changed().await;
            return Ok(());
        }
        self.stop_keeper().await?;
        self.ended = None;
        self.show(&plan.hash, UnitDesire::Launched, Phase::Starting.systemd());
        self.link = Link::start(&self.places, &self.unit, plan).await?;
        if let Some(link) = &self.link {
            self.show_status(&link.last);
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
    async fn watch(&mut self) {
        let Some(link) = &mut self.link else { return };
        tokio::select! {
            _ = self.wish.changed() => {}
            status = link.next() => match status.cloned() {
                Some(status) => self.show_status(&status),
                None => self.keeper_is_gone().await,
            },
        }
    }

    async fn keeper_is_gone(&mut self) {
        let Some(link) = self.link.take() else { return };
        let last = link.last.clone();
        if let Err(why) = link.bury(&self.places.run_of(&self.unit)).await {
            tracing::error!(unit = %self.unit, "failed to clear up behind its keeper: {why}");
        }
        if last.phase.is_final() {
            self.ended = Some(last);
        } else {
            // Killed: the unit is still wanted, so the next step starts it again.
            tracing::warn!(unit = %self.unit, "its keeper died; starting the unit again");
        }
    }

    /// Stops the unit and waits for the end of its keeper.
    async fn stop_keeper(&mut self) -> io::Result<()> {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        link.ask_to_stop().await;
        while let Some(status) = link.next().await.cloned() {
            if !status.phase.is_final() {
                self.show_status(&status);
            }
        }
        link.bury(&self.places.run_of(&self.unit)).await
    }

    fn show_status(&self, status: &Status) {
        self.show(&status.hash, UnitDesire::Launched, status.phase.systemd());
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

async fn remove(places: &Places, unit: &UnitName) -> io::Result<()> {
    match tokio::fs::remove_dir_all(places.run_of(unit)).await {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}
