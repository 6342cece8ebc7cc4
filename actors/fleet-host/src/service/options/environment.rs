//! `Environment=` and `EnvironmentFile=`.

use super::super::draft::Draft;
use super::super::plan::MaybeMissing;
use super::super::{command_line, is_variable};
use super::{Known, absolute, known};

pub(super) const OPTIONS: &[Known] =
    &[known("Environment", add), known("EnvironmentFile", add_file)];

/// `"A=b c" D=e`; an empty value resets the list.
fn add(draft: &mut Draft<'_>, value: &str) -> Result<(), String> {
    if value.is_empty() {
        draft.environment.clear();
    }
    for word in command_line::split(value)? {
        let word = draft.specifiers.expand(&word)?;
        let Some((name, text)) = word.split_once('=') else {
            return Err(format!("`{word}` is not of the form NAME=value"));
        };
        if !is_variable(name) {
            return Err(format!("`{name}` is no name of a variable: use letters, digits and `_`"));
        }
        draft.environment.push((name.to_owned(), text.to_owned()));
    }
    Ok(())
}

/// `/etc/app.env`, with `-` before it if it may be missing; an empty value resets the list.
fn add_file(draft: &mut Draft<'_>, value: &str) -> Result<(), String> {
    if value.is_empty() {
        draft.plan.environment_files.clear();
        return Ok(());
    }
    let may_be_missing = value.starts_with('-');
    let path = draft.specifiers.expand(value.strip_prefix('-').unwrap_or(value))?;
    if path.contains(['*', '?', '[']) {
        return Err(format!(
            "`{path}` is a pattern; this host reads files that are named one by one"
        ));
    }
    let path = absolute(&path)?.into();
    draft.plan.environment_files.push(MaybeMissing { path, may_be_missing });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{plan_of, refused, with};

    #[test]
    fn variables_are_read_and_reset() {
        let lines = [
            ("Environment", "A=1"),
            ("Environment", ""),
            ("Environment", "B=%i \"C=2 3\" 'D=x'y E= F=a=b"),
        ];
        let environment = with(&lines).environment;
        let own = &environment[environment.len() - 5..];
        let own: Vec<(&str, &str)> =
            own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(own, [("B", "3"), ("C", "2 3"), ("D", "xy"), ("E", ""), ("F", "a=b")]);
        for (value, words) in [("1A=x", "no name"), ("A", "NAME=value"), ("A=\"x", "quote")] {
            assert!(refused("Environment", value).contains(words), "{value}");
        }
    }

    #[test]
    fn files_are_named_by_absolute_paths() {
        let lines = [
            ("EnvironmentFile", "/etc/a"),
            ("EnvironmentFile", ""),
            ("EnvironmentFile", "-/etc/%p.env"),
            ("EnvironmentFile", "/etc/b c"),
        ];
        let files = with(&lines).environment_files;
        assert_eq!(files[0].path.to_str(), Some("/etc/app.env"));
        assert!(files[0].may_be_missing && !files[1].may_be_missing);
        assert_eq!(files[1].path.to_str(), Some("/etc/b c"));
        for (value, words) in [("a.env", "absolute"), ("/etc/*.env", "pattern"), ("-", "absolute")]
        {
            assert!(refused("EnvironmentFile", value).contains(words), "{value}");
        }
    }

    #[test]
    fn only_a_unit_with_a_user_of_its_own_is_told_a_shell() {
        let lines = [("ExecStart", "/bin/x"), ("User", "nobody")];
        let plan = plan_of(&lines, true).expect("runnable");
        assert!(plan.environment.iter().any(|(name, _)| name == "SHELL"));
        assert!(with(&[]).environment.iter().all(|(name, _)| name != "SHELL"));
    }
}
