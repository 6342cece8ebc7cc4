//! Every crash point there is.

/// Makes the enum, the list and the names from one table.
macro_rules! crash_points {
    ($($(#[doc = $about:literal])+ $point:ident = $name:literal,)+) => {
        /// A place where a crash would hurt.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CrashPoint {
            $($(#[doc = $about])+ $point,)+
        }

        impl CrashPoint {
            /// Every point, in the order in which a deployment can come by.
            pub const ALL: &'static [Self] = &[$(Self::$point,)+];

            /// What `OA_CRASH_AT` calls it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }
        }
    };
}

crash_points! {
    /// The node holds its data directory, and nothing else yet.
    NodeHoldsDirectory = "node.holds_directory",
    /// The embedded cluster answers; no component is there yet.
    NodeClusterStarted = "node.cluster_started",
    /// Everything runs; nobody has been told where.
    NodeBeforeAnnounce = "node.before_announce",
    /// `node.json` is there; `ready` has not been said.
    NodeAnnounced = "node.announced",
    /// An orderly stop has begun.
    NodeDraining = "node.draining",
    /// Every component has stopped; databases are still open.
    NodeComponentsStopped = "node.components_stopped",
    /// Databases are closed; the embedded cluster still runs.
    NodeDatabasesClosed = "node.databases_closed",

    /// One migration is applied; the next one may be missing.
    DatabaseMigrated = "database.migrated",
    /// A batch is written, its transaction still open.
    WriterBeforeCommit = "writer.before_commit",
    /// A batch is on disk; its callers have not been told.
    WriterAfterCommit = "writer.after_commit",
    /// What was queued is written; connections are still open.
    WriterClosing = "writer.closing",
    /// An outbox row has been read and is not on its way.
    RelayBeforePublish = "relay.before_publish",
    /// The other side has a message; its row is still pending.
    RelayAfterPublish = "relay.after_publish",
    /// Rows are marked as sent.
    RelayMarked = "relay.marked",

    /// A workflow is made; the client does not know.
    ManagerCreated = "manager.created",
    /// A start or an end of a workflow is on disk; neither orchestrator nor client know.
    ManagerApplied = "manager.applied",
    /// Ports are reserved; the Deployer does not know.
    ManagerPortsReserved = "manager.ports_reserved",
    /// Ports are free again; the Deployer does not know.
    ManagerPortsReleased = "manager.ports_released",

    /// A report has been delivered, and nothing is written yet.
    OrchestratorReceived = "orchestrator.received",
    /// A transition is written, its transaction still open.
    JournalInTransaction = "journal.in_transaction",
    /// What a report caused is on disk; its delivery is not acknowledged.
    OrchestratorApplied = "orchestrator.applied",
    /// A timer of a workflow is due.
    OrchestratorTimerDue = "orchestrator.timer_due",
    /// What a timer caused is on disk.
    OrchestratorTimerApplied = "orchestrator.timer_applied",

    /// Open tasks of a worker have been read; none runs again yet.
    WorkerTasksRead = "worker.tasks_read",
    /// A command has been delivered to a worker, and nothing is written yet.
    WorkerReceived = "worker.received",
    /// A command is written down; its delivery is not acknowledged.
    WorkerAccepted = "worker.accepted",
    /// An effect is noted as begun.
    WorkerEffectBegun = "worker.effect_begun",
    /// An effect is noted as done.
    WorkerEffectDone = "worker.effect_done",
    /// A line of progress is in the outbox.
    WorkerProgressNoted = "worker.progress_noted",
    /// The work of a task is done; the journal does not know.
    WorkerBeforeFinish = "worker.before_finish",
    /// A task is finished in a transaction that is still open.
    WorkerFinishing = "worker.finishing",
    /// A task is finished and its report in the outbox.
    WorkerFinished = "worker.finished",
    /// A wish to cancel is written down; its job has not been told.
    WorkerCancelled = "worker.cancelled",

    /// The directory of an attempt is made.
    BuilderDirectoryMade = "builder.directory_made",
    /// The deployment repository is fetched.
    BuilderFetched = "builder.fetched",
    /// Templates are rendered in memory.
    BuilderRendered = "builder.rendered",
    /// The commit is made here, and not pushed.
    BuilderCommitted = "builder.committed",
    /// The commit is pushed; nothing here knows.
    BuilderPushed = "builder.pushed",

    /// The Deployer knows the ports.
    DeployerPortsKnown = "deployer.ports_known",
    /// The plan is made; what was there before is not noted.
    DeployerPlanned = "deployer.planned",
    /// What was there before is noted; nothing is changed.
    DeployerNoted = "deployer.noted",
    /// An instance is about to be written to the cluster.
    DeployerBeforePut = "deployer.before_put",
    /// An instance is written to the cluster.
    DeployerAfterPut = "deployer.after_put",
    /// Instances are healthy.
    DeployerHealthy = "deployer.healthy",
    /// One serving instance is replaced, the next one is not.
    DeployerBetweenUnits = "deployer.between_units",
    /// Everything is up; the last look has not been taken.
    DeployerBeforeVerify = "deployer.before_verify",
    /// An instance is about to be removed.
    DeployerBeforeRemove = "deployer.before_remove",
    /// An instance is gone.
    DeployerAfterRemove = "deployer.after_remove",
    /// A rollout failed; nothing is restored.
    DeployerBeforeRestore = "deployer.before_restore",
    /// An earlier definition is written again; it is not up yet.
    DeployerPutBack = "deployer.put_back",
    /// Everything that could be restored is.
    DeployerRestored = "deployer.restored",

    /// A question is about to be asked of a cluster.
    FleetManagerAsked = "fleet_manager.asked",
    /// A cluster has answered; whoever asked does not know.
    FleetManagerAnswered = "fleet_manager.answered",

    /// A file is written under its temporary name.
    HostFileWritten = "host.file_written",
    /// A file has its name; its directory is not flushed.
    HostFileRenamed = "host.file_renamed",
    /// A definition is removed; its unit still runs.
    HostForgotten = "host.forgotten",
    /// The plan of a unit is written; it has no keeper.
    HostBeforeKeeper = "host.before_keeper",
    /// A keeper is started; nobody talks to it.
    HostAfterKeeper = "host.after_keeper",
    /// A keeper that was at work is found again.
    HostAdopted = "host.adopted",
    /// A keeper has been asked to stop its unit.
    HostStopAsked = "host.stop_asked",
    /// A keeper has ended and nothing of its unit is left.
    HostBuried = "host.buried",
    /// The directory of a unit that is forgotten is gone.
    HostDirectoryRemoved = "host.directory_removed",

    /// A keeper holds its unit's lock and has told nobody.
    KeeperLocked = "keeper.locked",
    /// A program of the unit is about to be started.
    KeeperBeforeExec = "keeper.before_exec",
    /// A program runs; no status says so.
    KeeperAfterExec = "keeper.after_exec",
    /// A program has ended; no status says so.
    KeeperAfterExit = "keeper.after_exit",
    /// What the unit left behind is about to be killed.
    KeeperBeforeCleaning = "keeper.before_cleaning",
    /// Nothing of the unit is left; the last status is not said.
    KeeperCleaned = "keeper.cleaned",
}
