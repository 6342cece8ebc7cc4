//! `Exec*=`.

use super::super::draft::Draft;
use super::super::plan::{ExecCommand, Plan};
use super::super::{Specifiers, command_line};
use super::{Known, known};

pub(super) const OPTIONS: &[Known] = &[
    known("ExecStartPre", |draft, value| add(draft, value, |plan| &mut plan.start_pre)),
    known("ExecStart", |draft, value| add(draft, value, |plan| &mut plan.start)),
    known("ExecStartPost", |draft, value| add(draft, value, |plan| &mut plan.start_post)),
    known("ExecReload", |draft, value| add(draft, value, |plan| &mut plan.reload)),
    known("ExecStop", |draft, value| add(draft, value, |plan| &mut plan.stop)),
    known("ExecStopPost", |draft, value| add(draft, value, |plan| &mut plan.stop_post)),
];

/// Adds the commands of a line; an empty value resets the list.
fn add(
    draft: &mut Draft<'_>,
    value: &str,
    list: fn(&mut Plan) -> &mut Vec<ExecCommand>,
) -> Result<(), String> {
    if value.is_empty() {
        list(&mut draft.plan).clear();
        return Ok(());
    }
    let commands = command_line::split_commands(value)?;
    if commands.is_empty() {
        return Err("it names no program".into());
    }
    for words in commands {
        let command = command(words, draft.specifiers)?;
        list(&mut draft.plan).push(command);
    }
    Ok(())
}

/// A command out of its words: prefixes are told from the program, then specifiers are put in, so that a name cannot
/// change where words end.
fn command(mut words: Vec<String>, specifiers: Specifiers<'_>) -> Result<ExecCommand, String> {
    let (mut may_fail, mut verbatim, mut is_called) = (false, false, false);
    let mut program = words[0].as_str();
    while let Some(prefix) = program.chars().next() {
        match prefix {
            '-' if !may_fail => may_fail = true,
            ':' if !verbatim => verbatim = true,
            '@' if !is_called => is_called = true,
            '+' | '!' => {
                return Err(format!(
                    "the prefix `{prefix}` would give it rights that its user does not have"
                ));
            }
            '|' => return Err("the prefix `|` would run it in a shell; name the program".into()),
            _ => break,
        }
        program = &program[1..];
    }
    words[0] = program.to_owned();
    let mut argv = Vec::with_capacity(words.len());
    for word in &words {
        argv.push(specifiers.expand(word)?);
    }
    check_program(&argv[0])?;
    let mut called = None;
    if is_called {
        if argv.len() < 2 {
            return Err("with `@`, the second word is what the program is called".into());
        }
        called = Some(argv.remove(1));
    }
    Ok(ExecCommand { argv, may_fail, verbatim, called })
}

fn check_program(program: &str) -> Result<(), String> {
    match program {
        "" => Err("it names no program".into()),
        _ if program.ends_with('/') => Err(format!("`{program}` is a directory, not a program")),
        _ if program.contains('/') && !program.starts_with('/') => {
            Err(format!("`{program}` is neither an absolute path nor a bare name"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{plan_of, refused, with};

    #[test]
    fn prefixes_of_a_command_are_told_from_its_program() {
        let plan = plan_of(&[("ExecStart", "-@/bin/x called ${HOME}")], false).expect("runnable");
        let command = &plan.start[0];
        assert_eq!((command.may_fail, command.verbatim), (true, false));
        assert_eq!(command.called.as_deref(), Some("called"));
        assert_eq!(command.argv, ["/bin/x", "${HOME}"]);
        let plan = plan_of(&[("ExecStart", ":/bin/x $A")], false).expect("runnable");
        assert!(plan.start[0].verbatim);
        let plan = plan_of(&[("ExecStart", "\"-/bin/a b\" c")], false).expect("runnable");
        assert_eq!(plan.start[0].argv, ["/bin/a b", "c"]);
    }

    #[test]
    fn each_list_of_commands_is_filled_and_reset() {
        let plan = with(&[
            ("ExecStartPre", "/bin/a"),
            ("ExecStartPost", "/bin/b"),
            ("ExecStop", "/bin/c"),
            ("ExecStop", ""),
            ("ExecStop", "/bin/d ; -/bin/e \\\n  f"),
            ("ExecStopPost", "/bin/g %i"),
            ("ExecReload", "kill -HUP $MAINPID"),
        ]);
        assert_eq!(plan.start_pre[0].argv, ["/bin/a"]);
        assert_eq!(plan.start_post[0].argv, ["/bin/b"]);
        assert_eq!(plan.stop.len(), 2);
        assert!(plan.stop[1].may_fail && plan.stop[1].argv == ["/bin/e", "f"]);
        assert_eq!(plan.stop_post[0].argv, ["/bin/g", "3"]);
        assert_eq!(plan.reload[0].argv, ["kill", "-HUP", "$MAINPID"]);
    }

    #[test]
    fn a_name_cannot_change_where_words_end() {
        let plan = plan_of(&[("ExecStart", "/bin/x a%%b %n")], false).expect("runnable");
        assert_eq!(plan.start[0].argv, ["/bin/x", "a%b", "app@3.service"]);
    }

    #[test]
    fn what_names_no_program_is_refused() {
        let cases = [
            ("./x", "absolute"),
            ("bin/x", "absolute"),
            ("/bin/", "directory"),
            ("-", "no program"),
            (";", "no program"),
            ("+/bin/x", "rights"),
            ("!/bin/x", "rights"),
            ("!!/bin/x", "rights"),
            ("|x", "shell"),
            ("@/bin/x", "second word"),
            ("/bin/x %z", "%z"),
            ("/bin/x \"a", "quote"),
        ];
        for (value, words) in cases {
            assert!(refused("ExecStop", value).contains(words), "{value}");
        }
    }
}
