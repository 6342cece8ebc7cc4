//! Which scenario comes by which crash point.

use oa_crash_points::CrashPoint::{self, *};

use super::scenario::Scenario::{self, *};

/// The scenarios in which somebody dies at `point`, and at which pass; each is run in CI.
///
/// The match is total: a new point without a scenario does not compile.
pub(crate) fn plans(point: CrashPoint) -> &'static [(Scenario, u32)] {
    match point {
        NodeHoldsDirectory | NodeBeforeAnnounce | NodeAnnounced | HostAdopted => &[(Start, 1)],
        NodeClusterStarted => &[(First, 1), (Start, 1)],
        NodeDraining | NodeComponentsStopped | NodeDatabasesClosed | WriterClosing => &[(Stop, 1)],
        OrchestratorTimerDue | OrchestratorTimerApplied => &[(Scheduled, 1)],
        // A cancellation is the second change that a client asks for.
        ManagerApplied => &[(First, 1), (Cancel, 2)],
        HostFileWritten | HostFileRenamed => &[(First, 1), (First, 2), (Replace, 1)],
        DatabaseMigrated | WriterBeforeCommit | WriterAfterCommit | RelayBeforePublish
        | RelayAfterPublish | RelayMarked | ManagerCreated | ManagerPortsReserved
        | OrchestratorReceived | JournalInTransaction | OrchestratorApplied | WorkerReceived
        | WorkerAccepted | WorkerEffectBegun | WorkerEffectDone | WorkerProgressNoted
        | WorkerFinishing | WorkerFinished | BuilderDirectoryMade | BuilderFetched
        | BuilderRendered | BuilderCommitted | BuilderPushed | DeployerPortsKnown
        | DeployerPlanned | DeployerNoted | DeployerBeforePut | DeployerHealthy
        | DeployerBeforeVerify | HostBeforeKeeper | HostAfterKeeper => &[(First, 1)],
        DeployerAfterPut => &[(First, 1), (Replace, 1)],
        DeployerBetweenUnits => &[(Replace, 2)],
        // Three workers read their tasks; two of them finish one.
        WorkerTasksRead => &[(First, 1), (First, 2)],
        WorkerBeforeFinish => &[(First, 1), (First, 2), (Cancel, 2)],
        HostStopAsked | HostBuried => &[(Replace, 1), (Stop, 1)],
        DeployerBeforeRestore | DeployerPutBack | DeployerRestored => &[(Restore, 1)],
        WorkerCancelled => &[(Cancel, 1)],
        DeployerBeforeRemove | DeployerAfterRemove => &[(Shrink, 1), (Cancel, 1)],
        ManagerPortsReleased => &[(Shrink, 1), (Cancel, 1)],
        HostForgotten | HostDirectoryRemoved => &[(Shrink, 1), (Cancel, 2)],
        FleetManagerAsked | FleetManagerAnswered => &[(Ask, 1)],
        KeeperLocked | KeeperBeforeExec => &[(First, 1)],
        KeeperAfterExec => &[(First, 1), (Cancel, 1)],
        KeeperAfterExit | KeeperBeforeCleaning | KeeperCleaned => &[(Cancel, 1)],
    }
}

/// Whether the node dies there; otherwise one of its keepers does, and the node goes on.
pub(crate) fn is_in_node(point: CrashPoint) -> bool {
    !point.name().starts_with("keeper.")
}
