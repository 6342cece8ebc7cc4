//! What a deployment has to itself while it runs: its units, on its cluster.

use std::collections::BTreeSet;

use oa_protocol::deploy::DeployCommand;
use oa_protocol::{EtcdToken, UnitName};

/// The units of one deployment. Two deployments that share a prefix on one cluster may name the same instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    cluster: EtcdToken,
    prefixes: BTreeSet<String>,
}

impl Claim {
    pub(crate) fn of(command: &DeployCommand) -> Self {
        let prefix = |name: &str| {
            // A name that is none fails later, with its reason.
            UnitName::new(name).map_or_else(|_| name.to_owned(), |name| name.prefix().to_owned())
        };
        let prefixes = command.units.iter().map(|unit| prefix(&unit.name)).collect();
        Self { cluster: command.etcd_token.clone(), prefixes }
    }
}

impl oa_worker_journal::Claim for Claim {
    fn overlap(&self, other: &Self) -> Option<String> {
        let same_cluster = self.cluster == other.cluster;
        let shared =
            self.prefixes.iter().find(|prefix| same_cluster && other.prefixes.contains(*prefix))?;
        Some(format!("the deployment of {shared} to {}", self.cluster))
    }
}

#[cfg(test)]
mod tests {
    use oa_worker_journal::Claim as _;

    use super::*;
    use crate::testing::command;

    fn claim(units: &[(&str, &str)], cluster: &str) -> Claim {
        let mut command = command(units, 1, 1);
        command.etcd_token = EtcdToken::new(cluster).expect("a valid token");
        Claim::of(&command)
    }

    #[test]
    fn deployments_of_the_same_units_to_one_cluster_exclude_each_other() {
        let app = claim(&[("app@.service", "x"), ("db.service", "x")], "local");
        assert_eq!(
            app.overlap(&claim(&[("app@3.service", "x")], "local")),
            Some("the deployment of app to local".into())
        );
        assert_eq!(app.overlap(&claim(&[("app@.service", "x")], "other")), None);
        assert_eq!(app.overlap(&claim(&[("my-app@.service", "x")], "local")), None);
    }
}
