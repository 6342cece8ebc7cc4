//! `oa cluster`: clusters that the node knows.

use oa_api::Cluster;

use super::{Session, failed_to};
use crate::cli::ClusterCommand;
use crate::exit::Exit;
use crate::output::{self, Table};
use crate::problem::Problem;

pub(super) async fn run(session: &Session, command: ClusterCommand) -> Result<Exit, Problem> {
    match command {
        ClusterCommand::List => {
            let clusters =
                session.client.clusters().await.map_err(failed_to("clusters cannot be listed"))?;
            output::print(session.format, &table(&clusters), &clusters)?;
            Ok(Exit::Ok)
        }
    }
}

fn table(clusters: &[Cluster]) -> Table {
    let mut table = Table::new(["etcd_token", "name", "allow_docker_builds", "inserted_at"]);
    for cluster in clusters {
        table.row([
            &cluster.etcd_token,
            cluster.name.as_deref().unwrap_or(""),
            if cluster.allow_docker_builds == Some(true) { "true" } else { "false" },
            cluster.inserted_at.as_deref().unwrap_or(""),
        ]);
    }
    table
}
