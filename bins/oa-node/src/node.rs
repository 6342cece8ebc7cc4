//! The life of the node: start, run until a signal, drain.

use std::io::Write;
use std::process::ExitCode;

use metrics_exporter_prometheus::PrometheusBuilder;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use crate::assembly::Assembly;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::error::NodeError;

/// Runs until SIGTERM or SIGINT, or until the supervisors give up.
pub(crate) async fn run(config: Config) -> Result<ExitCode, NodeError> {
    let data = DataDir::open(&config.node.data_dir).await?;
    oa_crash_points::crash_point!(NodeHoldsDirectory);
    let metrics = PrometheusBuilder::new()
        .install_recorder()
        .map_err(|cause| NodeError::part("metrics", cause))?;
    // Before anything runs, so that no signal is missed.
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|cause| NodeError::part("signals", cause))?;
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(|cause| NodeError::part("signals", cause))?;
    let assembly = Assembly::start(&config, &data, metrics).await?;
    let url = assembly.address.map(|address| format!("http://{address}"));
    oa_crash_points::crash_point!(NodeBeforeAnnounce);
    if let Some(url) = &url {
        data.announce(&config.node.name, url)?;
    }
    oa_crash_points::crash_point!(NodeAnnounced);
    say_ready(url.as_deref());
    tell_systemd(&[NotifyState::Ready, NotifyState::Status(&config.summary())]);
    tracing::info!(node = %config.node.name, data = %data.path().display(), "ready");
    let system = assembly.system.clone();
    let ended = tokio::select! {
        path = assembly.storage_lost() => {
            // Nothing is closed in order: that would write what may not be there.
            std::mem::forget(assembly);
            data.retract();
            return Err(NodeError::StorageLost { path });
        }
        _ = terminate.recv() => Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => Ok(ExitCode::SUCCESS),
        why = system.terminated() => Err(NodeError::GaveUp { why: format!("{why:#}") }),
    };
    tell_systemd(&[NotifyState::Stopping]);
    tracing::info!("draining");
    oa_crash_points::crash_point!(NodeDraining);
    data.retract();
    assembly.stop().await;
    tracing::info!("stopped");
    ended
}

/// A node that no service manager started has nobody to tell.
fn tell_systemd(states: &[NotifyState<'_>]) {
    if let Err(why) = sd_notify::notify(states) {
        tracing::warn!(%why, "systemd was not told how the node does");
    }
}

/// One line on standard output that whoever started the node can wait for.
fn say_ready(url: Option<&str>) {
    let line = format!("ready {}\n", url.unwrap_or("without a REST API"));
    // Nobody may be reading.
    let _nobody_reads =
        std::io::stdout().write_all(line.as_bytes()).and_then(|()| std::io::stdout().flush());
}
