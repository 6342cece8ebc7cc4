//! `oa doctor`: looks at this machine and at the node on it, and says how to mend what it finds.
//!
//! ```text
//! place  which data directory, which address
//! machine, disk, network, programs, node   a file per topic; each look gives one finding
//! finding  what was found, how bad it is, the fix
//! ```

mod disk;
mod finding;
mod machine;
mod network;
mod node;
mod place;
mod programs;

use crate::exit::Exit;
use crate::output::{self, Format, Style};
use crate::problem::Problem;

use finding::{Finding, Verdict};
use place::Place;

/// Looks at everything. Fails if something would keep a node from working.
pub(super) async fn run(format: Format) -> Result<Exit, Problem> {
    let place = Place::find()?;
    let mut findings = look(&place);
    findings.extend(node::look(&place).await);
    match format {
        Format::Json => output::print_json(&findings)?,
        Format::Table => output::print_text(&text(&findings, Style::stdout()))?,
    }
    let is_bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    Ok(if is_bad { Exit::Failed } else { Exit::Ok })
}

/// What needs no running node.
fn look(place: &Place) -> Vec<Finding> {
    vec![
        machine::clock(place),
        machine::time_service(),
        machine::open_files(),
        machine::user(),
        machine::limits_of_units(),
        disk::permissions(place),
        disk::kind(place),
        disk::space(place),
        disk::flush(place),
        programs::git(),
        programs::ssh(),
        programs::docker(),
        network::address(place),
        network::ports_of_units(),
    ]
}

fn text(findings: &[Finding], style: Style) -> String {
    let width = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Fine => style.green("ok  "),
            Verdict::Note => style.dim("note"),
            Verdict::Warning => style.bold("warn"),
            Verdict::Bad => style.red("BAD "),
        };
        let found = output::printable(&finding.found);
        text.push_str(&format!("{mark}  {:width$}  {found}\n", finding.subject));
        if let Some(fix) = &finding.fix {
            text.push_str(&format!(
                "{:width$}fix: {}\n",
                "",
                output::printable(fix),
                width = width + 8
            ));
        }
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (bad, warnings) = (count(Verdict::Bad), count(Verdict::Warning));
    text.push_str(&match (bad, warnings) {
        (0, 0) => "\nnothing is wrong\n".to_owned(),
        (0, _) => format!("\na node works here; to look at: {warnings}\n"),
        (_, _) => format!("\na node does not work here before this is mended: {bad}\n"),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_each_fix_and_ends_with_the_verdict() {
        let findings = [
            Finding::fine("disk", "9 GiB are free"),
            Finding::bad("git", "it is not installed", "apt-get install git"),
        ];
        assert_eq!(
            text(&findings, Style::plain()),
            "ok    disk  9 GiB are free\n\
             BAD   git   it is not installed\n\
            \x20           fix: apt-get install git\n\
             \na node does not work here before this is mended: 1\n"
        );
    }

    #[test]
    fn this_machine_can_be_looked_at_without_a_node() {
        let home = tempfile::tempdir().expect("a directory");
        let findings = look(&Place::at(home.path()));
        let subjects: Vec<_> = findings.iter().map(|finding| finding.subject).collect();
        for subject in
            ["clock", "flush", "git", "docker", "disk space", "permissions", "unit ports"]
        {
            assert!(subjects.contains(&subject), "{subject} is missing: {subjects:?}");
        }
        for finding in findings {
            let needs_fix = matches!(finding.verdict, Verdict::Bad | Verdict::Warning);
            assert!(!needs_fix || finding.fix.is_some(), "{finding:?} has no fix");
        }
    }
}
