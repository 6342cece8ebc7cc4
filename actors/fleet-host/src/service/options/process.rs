//! Whom a program runs as, where, and with which manners.

use super::super::plan::MaybeMissing;
use super::super::user;
use super::{Known, absolute, boolean, known, one_of, without_effect};

pub(super) const OPTIONS: &[Known] = &[
    known("User", |draft, value| {
        let name = draft.specifiers.expand(value)?;
        draft.user = if name.is_empty() { None } else { Some(user::find_user(&name)?) };
        Ok(())
    }),
    known("Group", |draft, value| {
        let name = draft.specifiers.expand(value)?;
        draft.group = if name.is_empty() { None } else { Some(user::find_group(&name)?) };
        Ok(())
    }),
    known("SupplementaryGroups", |draft, value| {
        if value.is_empty() {
            draft.more_groups.clear();
        }
        for name in value.split_whitespace() {
            draft.more_groups.push(user::find_group(&draft.specifiers.expand(name)?)?);
        }
        Ok(())
    }),
    known("WorkingDirectory", |draft, value| {
        let may_be_missing = value.starts_with('-');
        let path = draft.specifiers.expand(value.strip_prefix('-').unwrap_or(value))?;
        draft.in_home = path == "~";
        let path = match path.as_str() {
            "" | "~" => "/",
            path => absolute(path)?,
        };
        draft.plan.working_directory = MaybeMissing { path: path.into(), may_be_missing };
        Ok(())
    }),
    known("UMask", |draft, value| {
        let umask = u32::from_str_radix(value, 8).ok().filter(|umask| *umask <= 0o777);
        draft.plan.manners.umask = match umask {
            None if value.is_empty() => 0o022,
            umask => umask.ok_or_else(|| format!("`{value}` is no octal number up to 0777"))?,
        };
        Ok(())
    }),
    known("Nice", |draft, value| {
        let nice = number_within(value, -20, 19)?;
        if nice.is_some_and(|nice| nice < 0) && !draft.host.is_root {
            return Err("only a host that runs as root may raise a priority".into());
        }
        draft.plan.manners.nice = nice;
        Ok(())
    }),
    known("OOMScoreAdjust", |draft, value| {
        draft.plan.manners.oom_score_adjust = number_within(value, -1000, 1000)?;
        Ok(())
    }),
    known("IgnoreSIGPIPE", |draft, value| {
        draft.plan.manners.ignore_sigpipe = boolean(value)?;
        Ok(())
    }),
    known("StandardInput", |_, value| one_of(value, &[("null", ())])),
    known("StandardOutput", |_, value| one_of(value, OUTPUTS)),
    known("StandardError", |_, value| one_of(value, OUTPUTS)),
    known("SyslogIdentifier", without_effect),
    known("SyslogFacility", without_effect),
    known("SyslogLevel", without_effect),
    known("SyslogLevelPrefix", |_, value| boolean(value).map(drop)),
];

/// Where the output may go; here it always goes to the log of the unit.
const OUTPUTS: &[(&str, ())] = &[
    ("journal", ()),
    ("inherit", ()),
    ("syslog", ()),
    ("kmsg", ()),
    ("journal+console", ()),
    ("syslog+console", ()),
    ("kmsg+console", ()),
];

/// A number, or nothing for what is usual.
fn number_within(value: &str, least: i32, most: i32) -> Result<Option<i32>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    let number = value.parse().ok().filter(|number| (least..=most).contains(number));
    number.map(Some).ok_or_else(|| format!("`{value}` is no number from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{plan_of, refused, with};

    #[test]
    fn manners_are_read_within_their_bounds() {
        let lines = [
            ("UMask", "077"),
            ("Nice", "5"),
            ("OOMScoreAdjust", "-900"),
            ("IgnoreSIGPIPE", "no"),
            ("StandardOutput", "journal"),
            ("SyslogIdentifier", "app"),
        ];
        let manners = with(&lines).manners;
        assert_eq!((manners.umask, manners.nice), (0o077, Some(5)));
        assert_eq!((manners.oom_score_adjust, manners.ignore_sigpipe), (Some(-900), false));
        assert_eq!(with(&[("Nice", "5"), ("Nice", "")]).manners.nice, None);
        let cases = [
            ("UMask", "8"),
            ("UMask", "01000"),
            ("Nice", "20"),
            ("OOMScoreAdjust", "1001"),
            ("IgnoreSIGPIPE", "x"),
            ("StandardOutput", "file:/etc/x"),
            ("StandardInput", "tty"),
        ];
        for (name, value) in cases {
            assert!(refused(name, value).contains(value));
        }
        assert!(refused("Nice", "-5").contains("root"));
    }

    #[test]
    fn a_directory_is_absolute_or_the_home() {
        let directory = |value| with(&[("WorkingDirectory", value)]).working_directory;
        assert_eq!(directory("/srv/%p").path.to_str(), Some("/srv/app"));
        assert!(directory("-/srv").may_be_missing);
        assert_eq!(directory("~").path.to_str(), Some("/home/me"));
        assert_eq!(directory("").path.to_str(), Some("/"));
        assert!(refused("WorkingDirectory", "tmp").contains("absolute"));
        let lines = [("ExecStart", "/bin/x"), ("User", "nobody"), ("WorkingDirectory", "~")];
        let plan = plan_of(&lines, true).expect("runnable");
        assert_ne!(plan.working_directory.path.to_str(), Some("/root"));
    }

    #[test]
    fn users_and_groups_are_those_of_the_machine() {
        let lines = [
            ("ExecStart", "/bin/x"),
            ("User", "nobody"),
            ("Group", "root"),
            ("SupplementaryGroups", "daemon"),
        ];
        let who = plan_of(&lines, true).expect("runnable").credentials.expect("a user");
        assert_eq!(who.gid, 0);
        assert!(who.groups.contains(&0) && who.groups.contains(&1));
        for name in ["User", "Group", "SupplementaryGroups"] {
            assert!(refused(name, "nobody-such").contains("nobody-such"));
        }
    }
}
