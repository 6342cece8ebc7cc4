//! Figures, as lines and as JSON.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::machine::Machine;

/// The figures of one group.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    group: String,
    machine: Machine,
    figures: Vec<Figure>,
}

#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
}

impl Report {
    /// Begins the report of `group`: looks at the machine.
    pub(crate) fn begin(group: &str) -> Self {
        let machine = Machine::look();
        println!("# {group}: {}", machine.summary());
        Self { group: group.to_owned(), machine, figures: Vec::new() }
    }

    /// Adds a figure by its full name, such as `deploy.first_ms`, and prints its line.
    pub(crate) fn figure(&mut self, name: &str, value: f64, unit: &'static str) {
        println!("{name} {value:.2} {unit}");
        self.figures.push(Figure { name: name.to_owned(), value, unit });
    }

    /// Adds median and 99th percentile of `times` in milliseconds.
    pub(crate) fn percentiles(&mut self, name: &str, times: &[Duration]) {
        self.figure(&format!("{name}.p50_ms"), percentile(times, 50), "ms");
        self.figure(&format!("{name}.p99_ms"), percentile(times, 99), "ms");
    }

    /// Writes the JSON file beside the binaries.
    pub(crate) fn write(&self) -> std::io::Result<()> {
        let binary = std::env::current_exe()?;
        let target =
            binary.parent().and_then(|p| p.parent()).map(PathBuf::from).unwrap_or_default();
        let directory = target.join("bench");
        std::fs::create_dir_all(&directory)?;
        let file = directory.join(format!("{}.json", self.group));
        std::fs::write(&file, serde_json::to_string_pretty(self)?)?;
        println!("# written to {}", file.display());
        Ok(())
    }
}

/// The `percent`th percentile of `times` in milliseconds (nearest rank).
pub(crate) fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(rank).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), 50.0);
        assert_eq!(percentile(&times, 99), 99.0);
    }
}
