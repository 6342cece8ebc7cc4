//! Which of our crates may depend on which.
//!
//! Only normal and build dependencies count: a test may look at anything.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

/// Every crate and what it may depend on; `*` is anything of ours.
const ALLOWED: &[(&str, &[&str])] = &[
    ("oa-runtime", &[]),
    ("oa-crash-points", &[]),
    ("oa-transport-memory", &["oa-runtime"]),
    ("oa-transport-conformance", &["oa-runtime"]),
    ("oa-protocol", &["oa-runtime"]),
    ("oa-api", &["oa-runtime"]),
    ("oa-durable", &["oa-runtime"]),
    ("oa-store", &["oa-durable", "oa-protocol", "oa-runtime"]),
    ("oa-worker-journal", &["oa-durable", "oa-protocol", "oa-runtime"]),
    ("oa-fleet", &["oa-protocol"]),
    ("oa-fleet-host", &["oa-fleet"]),
    ("oa-manager", &["oa-store", "oa-api", "oa-protocol", "oa-fleet", "oa-runtime"]),
    ("oa-workflow-orchestrator", &["oa-store", "oa-protocol", "oa-runtime"]),
    ("oa-builder", &["oa-worker-journal", "oa-protocol", "oa-fleet", "oa-runtime"]),
    ("oa-deployer", &["oa-worker-journal", "oa-protocol", "oa-fleet", "oa-runtime"]),
    ("oa-notifications", &["oa-worker-journal", "oa-protocol", "oa-runtime"]),
    ("oa-overseer", &["oa-protocol", "oa-fleet", "oa-runtime"]),
    ("oa-fleet-manager", &["oa-protocol", "oa-fleet", "oa-runtime"]),
    ("oa-node", &["*"]),
    ("oa-cli", &["*"]),
    ("hello-server", &[]),
    ("oa-system-tests", &["*"]),
    ("oa-test-services", &[]),
    ("oa-bench", &["*"]),
    ("oa-checks", &[]),
    ("oa-fuzz", &["*"]),
];

/// What every crate may depend on: empty in a release build, and without knowledge of anything of ours.
const EVERYWHERE: &str = "oa-crash-points";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal one, else `dev` or `build`.
    kind: Option<String>,
    /// Where a crate of ours lies.
    path: Option<String>,
}

/// Every edge that the map does not allow, and every crate that it does not know.
pub(crate) fn violations(root: &Path) -> Result<Vec<String>, String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .map_err(|cause| format!("failed to run cargo metadata: {cause}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)
        .map_err(|cause| format!("cargo metadata is not readable: {cause}"))?;
    Ok(metadata.packages.iter().flat_map(package_violations).collect())
}

fn package_violations(package: &Package) -> Vec<String> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
        return vec![format!(
            "{}: not on the map; add it to ARCHITECTURE.md and to oa-checks",
            package.name
        )];
    };
    let ours = package
        .dependencies
        .iter()
        .filter(|d| d.path.is_some() && d.kind.as_deref() != Some("dev"));
    ours.filter(|d| d.name != EVERYWHERE)
        .filter(|d| !allowed.contains(&"*") && !allowed.contains(&d.name.as_str()))
        .map(|d| format!("{} depends on {}, which the map does not allow", package.name, d.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependency: &str, kind: Option<&str>) -> Package {
        let dependency = Dependency {
            name: dependency.into(),
            kind: kind.map(Into::into),
            path: Some("/somewhere".into()),
        };
        Package { name: name.into(), dependencies: vec![dependency] }
    }

    #[test]
    fn an_edge_that_the_map_does_not_draw_is_found() {
        assert_eq!(package_violations(&package("oa-builder", "oa-store", None)).len(), 1);
        assert!(package_violations(&package("oa-builder", "oa-fleet", None)).is_empty());
    }

    #[test]
    fn crash_points_may_stand_anywhere_and_know_nothing() {
        assert!(package_violations(&package("oa-runtime", "oa-crash-points", None)).is_empty());
        assert_eq!(package_violations(&package("oa-crash-points", "oa-runtime", None)).len(), 1);
    }

    #[test]
    fn a_test_may_look_at_anything() {
        assert!(package_violations(&package("oa-builder", "oa-store", Some("dev"))).is_empty());
    }

    #[test]
    fn an_unknown_crate_is_found() {
        assert_eq!(package_violations(&package("oa-surprise", "oa-runtime", None)).len(), 1);
    }
}
