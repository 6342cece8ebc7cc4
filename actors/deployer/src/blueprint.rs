//! Draws the instances that a command asks for, and refuses a command that cannot be carried out.
//!
//! A template `app@.service` gives `app@0.service`, `app@1.service` …; any other unit is one instance.

use std::collections::BTreeSet;

use oa_protocol::UnitName;
use oa_protocol::cluster::{FleetConfig, HealthCheck};
use oa_protocol::unit::{Unit, UnitOption};

use crate::error::DeployError;
use crate::generation::Stamp;
use crate::template;

/// Most instances of one template.
const MAX_INSTANCES: u32 = 1000;

/// An instance before its port is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blueprint {
    pub(crate) name: UnitName,
    options: Vec<UnitOption>,
    pub(crate) uses_port: bool,
}

/// An instance as the cluster should have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) name: UnitName,
    /// Filled in, with the stamp of the deployment.
    pub(crate) options: Vec<UnitOption>,
    pub(crate) port: Option<u16>,
}

impl Blueprint {
    /// Fills in the port and adds the stamp of the deployment.
    pub(crate) fn fill(&self, port: Option<u16>, stamp: &Stamp) -> Result<Wanted, DeployError> {
        let mut options = self.options.clone();
        for option in &mut options {
            option.value = template::fill(&option.value, port)
                .map_err(|why| bad_template(&self.name, option, why))?;
        }
        Ok(Wanted { name: self.name.clone(), options: stamp.put(&options), port })
    }
}

fn bad_template(
    unit: &UnitName,
    option: &UnitOption,
    cause: template::TemplateError,
) -> DeployError {
    DeployError::Template {
        unit: unit.to_string(),
        option: format!("[{}] {}", option.section, option.name),
        cause,
    }
}

/// What the command asks for, on a cluster of so many machines.
///
/// # Errors
///
/// What is wrong with the command: nothing to deploy, nowhere to deploy it, a bad name, template or number.
pub(crate) fn blueprints(
    units: &[Unit],
    config: &FleetConfig,
    machines: usize,
) -> Result<Vec<Blueprint>, DeployError> {
    if machines == 0 {
        return Err(DeployError::NoMachines);
    }
    if units.is_empty() {
        return Err(DeployError::NoUnits);
    }
    let machines = u32::try_from(machines).unwrap_or(MAX_INSTANCES).min(MAX_INSTANCES);
    let count = config.instance_cnt.unwrap_or(machines);
    if count == 0 || count > MAX_INSTANCES {
        return Err(DeployError::InstanceCount { count, max: MAX_INSTANCES });
    }
    let mut drawn = Vec::new();
    for unit in units {
        drawn.extend(draw(unit, count)?);
    }
    check_names(&drawn)?;
    check_health(config.health.as_ref(), &drawn)?;
    Ok(drawn)
}

fn draw(unit: &Unit, count: u32) -> Result<Vec<Blueprint>, DeployError> {
    let name = UnitName::new(unit.name.as_str())?;
    if unit.options.is_empty() {
        return Err(DeployError::EmptyUnit { unit: unit.name.clone() });
    }
    let mut uses_port = false;
    for option in &unit.options {
        uses_port |=
            template::uses_port(&option.value).map_err(|why| bad_template(&name, option, why))?;
    }
    let names = if name.is_template() {
        (0..count).map(|index| name.with_instance(index)).collect::<Result<Vec<_>, _>>()?
    } else {
        vec![name]
    };
    Ok(names
        .into_iter()
        .map(|name| Blueprint { name, options: unit.options.clone(), uses_port })
        .collect())
}

fn check_names(drawn: &[Blueprint]) -> Result<(), DeployError> {
    let mut seen = BTreeSet::new();
    match drawn.iter().find(|blueprint| !seen.insert(&blueprint.name)) {
        Some(twice) => Err(DeployError::NamedTwice { unit: twice.name.to_string() }),
        None => Ok(()),
    }
}

fn check_health(health: Option<&HealthCheck>, drawn: &[Blueprint]) -> Result<(), DeployError> {
    let Some(health) = health else { return Ok(()) };
    if let Some(path) = &health.http {
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
        if !path.starts_with('/') || !plain || path.len() > 2048 {
            return Err(DeployError::HealthPath { path: path.chars().take(80).collect() });
        }
    }
    let probes = health.http.is_some() || health.tcp;
    if probes && !drawn.iter().any(|blueprint| blueprint.uses_port) {
        return Err(DeployError::HealthWithoutPort);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::options;

    fn units(named: &[(&str, &str)]) -> Vec<Unit> {
        named.iter().map(|(name, exec)| Unit::new(*name, options(exec, None))).collect()
    }

    fn config(instances: Option<u32>) -> FleetConfig {
        FleetConfig { instance_cnt: instances, ..FleetConfig::default() }
    }

    fn names(named: &[(&str, &str)], instances: Option<u32>, machines: usize) -> Vec<String> {
        let drawn =
            blueprints(&units(named), &config(instances), machines).expect("a proper command");
        drawn.iter().map(|blueprint| blueprint.name.to_string()).collect()
    }

    #[test]
    fn a_template_gives_an_instance_for_each_machine_unless_told_otherwise() {
        assert_eq!(names(&[("app@.service", "x")], None, 2), ["app@0.service", "app@1.service"]);
        assert_eq!(names(&[("app@.service", "x")], Some(1), 2), ["app@0.service"]);
    }

    #[test]
    fn any_other_unit_is_one_instance() {
        assert_eq!(
            names(&[("db.service", "x"), ("app@blue.service", "x")], Some(3), 2),
            ["db.service", "app@blue.service"]
        );
    }

    #[test]
    fn what_cannot_be_deployed_is_refused_with_its_reason() {
        let one = units(&[("app@.service", "x")]);
        let refused = |units: &[Unit], instances, machines| {
            blueprints(units, &config(instances), machines).expect_err("a bad command").to_string()
        };
        assert!(refused(&one, None, 0).contains("no machines"));
        assert!(refused(&one, Some(0), 1).contains("instance_cnt is 0"));
        assert!(refused(&one, Some(1001), 1).contains("1 to 1000"));
        assert!(refused(&[], None, 1).contains("nothing to deploy"));
        assert!(
            refused(&units(&[("../x.service", "x")]), None, 1).contains("not a valid unit name")
        );
        assert!(refused(&[Unit::new("a.service", vec![])], None, 1).contains("a.service is empty"));
        assert!(
            refused(&units(&[("a@.service", "x"), ("a@0.service", "x")]), None, 1)
                .contains("named twice")
        );
        let template = crate::error::text(
            &blueprints(&units(&[("a.service", "<%= 1 + 1 %>")]), &config(None), 1)
                .expect_err("code"),
        );
        assert!(
            template.contains("a.service, [Service] ExecStart") && template.contains("column 1"),
            "{template}"
        );
    }

    #[test]
    fn a_health_check_over_the_network_needs_a_port() {
        let mut config = config(None);
        let mut check = HealthCheck {
            http: Some("/health".into()),
            tcp: false,
            timeout: Duration::from_secs(1),
        };
        config.health = Some(check.clone());
        let without = blueprints(&units(&[("a.service", "x")]), &config, 1);
        assert!(matches!(without, Err(DeployError::HealthWithoutPort)));
        let with = units(&[("a.service", "x <%= dst_port %>"), ("b.service", "x")]);
        let drawn = blueprints(&with, &config, 1).expect("one of them has a port");
        assert_eq!(
            drawn.iter().map(|blueprint| blueprint.uses_port).collect::<Vec<_>>(),
            [true, false]
        );
        check.http = Some("/x\r\nHost: evil".into());
        config.health = Some(check);
        assert!(matches!(blueprints(&with, &config, 1), Err(DeployError::HealthPath { .. })));
    }

    #[test]
    fn an_instance_gets_its_port_and_the_generation() {
        let drawn = blueprints(&units(&[("a.service", "x {{ dst_port }} %i")]), &config(None), 1)
            .expect("proper");
        let stamp = Stamp { generation: 7, ..Stamp::default() };
        let wanted = drawn[0].fill(Some(45_003), &stamp).expect("a port is all it needs");
        assert_eq!(wanted.options, options("x 45003 %i", Some(7)));
    }
}
