//! Reads the `[Service]` section into a [`Plan`].

use std::path::PathBuf;
use std::time::Duration;

use oa_fleet::UnitName;
use oa_fleet::unit::UnitOption;

use super::plan::{Credentials, ExecCommand, Plan, RestartWhen, ServiceKind, StopSignal};
use super::{Host, Specifiers, Unrunnable, command_line, time_span, user};
use crate::metering::Labels;

/// Options that change nothing here: the output is kept anyway, and nobody can ask for a reload.
const WITHOUT_EFFECT: &[&str] = &["SyslogIdentifier", "ExecReload"];
/// Where the output may go; here it always goes to the log of the unit.
const OUTPUTS: &[(&str, ())] = &[
    ("journal", ()),
    ("inherit", ()),
    ("syslog", ()),
    ("journal+console", ()),
    ("syslog+console", ()),
];
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn read(
    name: &UnitName,
    options: &[UnitOption],
    host: &Host,
) -> Result<Plan, Unrunnable> {
    let specifiers = Specifiers { unit: name, host: &host.name };
    let mut draft = Draft::new(name, options, host, specifiers);
    for option in options {
        // Limits of starts moved from one section to the other in systemd 230; both are in use.
        let is_limit = option.section == "Unit" && option.name.starts_with("StartLimit");
        if option.section == "Service" || is_limit {
            draft.apply(&option.name, &option.value)?;
        }
    }
    draft.finish(host)
}

struct Draft<'a> {
    plan: Plan,
    specifiers: Specifiers<'a>,
    start_timeout_is_set: bool,
    user: Option<user::User>,
    group: Option<u32>,
    own_environment: Vec<(String, String)>,
}

impl<'a> Draft<'a> {
    fn new(
        name: &UnitName,
        options: &[UnitOption],
        host: &Host,
        specifiers: Specifiers<'a>,
    ) -> Self {
        let plan = Plan {
            unit: name.to_string(),
            hash: oa_fleet::unit_file::hash(options),
            launch: 0,
            labels: Labels::default(),
            kind: ServiceKind::Simple,
            remain_after_exit: false,
            start_pre: Vec::new(),
            start: Vec::new(),
            stop: Vec::new(),
            environment: Vec::new(),
            working_directory: PathBuf::from("/"),
            credentials: None,
            open_files: None,
            restart: RestartWhen::No,
            restart_after: Duration::from_millis(100),
            stop_timeout: Some(Duration::from_secs(10)),
            start_timeout: Some(Duration::from_secs(90)),
            stop_signal: StopSignal::Term,
            signal_main_only: false,
            success_codes: Vec::new(),
            start_limit_burst: 5,
            start_limit_interval: Duration::from_secs(10),
            log_limit_bytes: host.log_limit_bytes,
        };
        Self {
            plan,
            specifiers,
            start_timeout_is_set: false,
            user: None,
            group: None,
            own_environment: Vec::new(),
        }
    }

    fn apply(&mut self, name: &str, raw: &str) -> Result<(), Unrunnable> {
        let refuse = |why: String| Unrunnable::new(name, why);
        // Lists are split before anything is put into them, so that a name cannot change where words end.
        match name {
            "ExecStartPre" => return self.add_command(name, raw, |plan| &mut plan.start_pre),
            "ExecStart" => return self.add_command(name, raw, |plan| &mut plan.start),
            "ExecStop" => return self.add_command(name, raw, |plan| &mut plan.stop),
            "Environment" => return self.add_environment(raw),
            _ => {}
        }
        let value = &self.specifiers.expand(raw).map_err(refuse)?;
        let plan = &mut self.plan;
        match name {
            "Type" => plan.kind = one_of(name, value, KINDS)?,
            "RemainAfterExit" => plan.remain_after_exit = boolean(name, value)?,
            "WorkingDirectory" if value.starts_with('/') => plan.working_directory = value.into(),
            "WorkingDirectory" => return Err(refuse("use an absolute path".into())),
            "User" => self.user = Some(user::find_user(value).map_err(refuse)?),
            "Group" => self.group = Some(user::find_group(value).map_err(refuse)?),
            "Restart" => plan.restart = one_of(name, value, RESTARTS)?,
            "RestartSec" => plan.restart_after = limit(name, value)?.unwrap_or(Duration::MAX),
            "SuccessExitStatus" => add_codes(&mut plan.success_codes, value).map_err(refuse)?,
            "KillSignal" => plan.stop_signal = one_of(name, value, SIGNALS)?,
            "KillMode" => {
                let modes = [("control-group", false), ("mixed", true)];
                plan.signal_main_only = one_of(name, value, &modes)?;
            }
            // systemd reads 0 as "no limit" in these.
            "TimeoutStopSec" => plan.stop_timeout = positive(limit(name, value)?),
            "TimeoutStartSec" | "TimeoutSec" => {
                plan.start_timeout = positive(limit(name, value)?);
                self.start_timeout_is_set = true;
                if name == "TimeoutSec" {
                    plan.stop_timeout = plan.start_timeout;
                }
            }
            "StartLimitBurst" => {
                plan.start_limit_burst =
                    value.parse().map_err(|_| refuse("use a number".into()))?;
            }
            "StartLimitInterval" | "StartLimitIntervalSec" => {
                plan.start_limit_interval = limit(name, value)?.unwrap_or(Duration::MAX);
            }
            "LimitNOFILE" => plan.open_files = Some(files(value).map_err(refuse)?),
            "StandardOutput" | "StandardError" => one_of(name, value, OUTPUTS)?,
            _ if WITHOUT_EFFECT.contains(&name) => {}
            _ => return Err(refuse("this host does not support it".into())),
        }
        Ok(())
    }

    /// Adds a command; an empty value resets the list.
    fn add_command(
        &mut self,
        name: &str,
        value: &str,
        list: impl Fn(&mut Plan) -> &mut Vec<ExecCommand>,
    ) -> Result<(), Unrunnable> {
        let refuse = |why: String| Unrunnable::new(name, why);
        if value.is_empty() {
            list(&mut self.plan).clear();
            return Ok(());
        }
        let line = value.trim_start_matches(['-', ':', '@']);
        let prefixes = &value[..value.len() - line.len()];
        let mut argv = self.words(line).map_err(refuse)?;
        match argv.first() {
            Some(program) if program.starts_with('/') => {}
            Some(program) if program.starts_with(['+', '!']) => {
                return Err(refuse(format!(
                    "the prefix `{}` would give it rights that its user does not have",
                    &program[..1]
                )));
            }
            Some(program) => {
                return Err(refuse(format!("`{program}` is not an absolute path")));
            }
            None => return Err(refuse("it names no program".into())),
        }
        let mut called = None;
        if prefixes.contains('@') {
            if argv.len() < 2 {
                return Err(refuse(
                    "with `@`, the second word is what the program is called".into(),
                ));
            }
            called = Some(argv.remove(1));
        }
        let (may_fail, verbatim) = (prefixes.contains('-'), prefixes.contains(':'));
        list(&mut self.plan).push(ExecCommand { argv, may_fail, verbatim, called });
        Ok(())
    }

    fn words(&self, line: &str) -> Result<Vec<String>, String> {
        let words = command_line::split(line)?;
        words.iter().map(|word| self.specifiers.expand(word)).collect()
    }

    /// `Environment="A=b c" D=e`; an empty value resets the list.
    fn add_environment(&mut self, value: &str) -> Result<(), Unrunnable> {
        let refuse = |why: String| Unrunnable::new("Environment", why);
        if value.is_empty() {
            self.own_environment.clear();
        }
        for word in self.words(value).map_err(refuse)? {
            let Some((key, text)) = word.split_once('=') else {
                return Err(refuse(format!("`{word}` is not of the form NAME=value")));
            };
            if !command_line::is_variable(key) {
                return Err(refuse(format!(
                    "`{key}` is no name of a variable: use letters, digits and `_`"
                )));
            }
            self.own_environment.push((key.to_owned(), text.to_owned()));
        }
        Ok(())
    }

    fn finish(mut self, host: &Host) -> Result<Plan, Unrunnable> {
        let oneshot = self.plan.kind == ServiceKind::Oneshot;
        if self.plan.start.is_empty() {
            return Err(Unrunnable::new("ExecStart", "a service needs one"));
        }
        if !oneshot && self.plan.start.len() > 1 {
            return Err(Unrunnable::new("ExecStart", "only Type=oneshot may have several"));
        }
        if oneshot && self.plan.restart == RestartWhen::Always {
            return Err(Unrunnable::new("Restart", "Type=oneshot must not be restarted always"));
        }
        if oneshot && !self.start_timeout_is_set {
            self.plan.start_timeout = None;
        }
        self.plan.credentials = self.credentials(host)?;
        let who = match &self.user {
            Some(user) => Some(user.clone()),
            None => user::find_user(&rustix::process::geteuid().as_raw().to_string()).ok(),
        };
        let mut environment = vec![("PATH".into(), PATH.into()), ("LANG".into(), "C.UTF-8".into())];
        if let Some(user) = who {
            environment.extend([
                ("USER".into(), user.name.clone()),
                ("LOGNAME".into(), user.name),
                ("HOME".into(), user.home),
            ]);
        }
        environment.append(&mut self.own_environment);
        self.plan.environment = environment;
        Ok(self.plan)
    }

    /// Whom the unit runs as; `None` if as the host itself.
    fn credentials(&self, host: &Host) -> Result<Option<Credentials>, Unrunnable> {
        let refuse = |why: &str| Err(Unrunnable::new("User", why));
        if !host.is_root {
            let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
            let is_own = self.user.as_ref().is_none_or(|user| user.uid == uid.as_raw())
                && self.group.is_none_or(|group| group == gid.as_raw());
            if !is_own {
                return refuse("this host does not run as root, so it cannot change users");
            }
            return Ok(None);
        }
        let as_root = self.user.as_ref().is_none_or(|user| user.uid == 0);
        if as_root && !host.allow_root_units {
            return refuse(
                "it is missing or root, and this host runs as root; name another user, \
                 or set cluster.local.allow_root_units",
            );
        }
        let user = match &self.user {
            Some(user) => user.clone(),
            None if self.group.is_none() => return Ok(None),
            None => user::find_user("0").map_err(|why| Unrunnable::new("User", why))?,
        };
        let gid = self.group.unwrap_or(user.gid);
        let mut groups = user::groups_of(&user);
        if !groups.contains(&gid) {
            groups.push(gid);
        }
        Ok(Some(Credentials { uid: user.uid, gid, groups }))
    }
}

const KINDS: &[(&str, ServiceKind)] = &[
    ("simple", ServiceKind::Simple),
    ("exec", ServiceKind::Simple),
    ("oneshot", ServiceKind::Oneshot),
];

const SIGNALS: &[(&str, StopSignal)] = &[
    ("SIGHUP", StopSignal::Hup),
    ("SIGINT", StopSignal::Int),
    ("SIGQUIT", StopSignal::Quit),
    ("SIGUSR1", StopSignal::Usr1),
    ("SIGUSR2", StopSignal::Usr2),
    ("SIGTERM", StopSignal::Term),
    ("SIGKILL", StopSignal::Kill),
];

const RESTARTS: &[(&str, RestartWhen)] = &[
    ("no", RestartWhen::No),
    ("on-success", RestartWhen::OnSuccess),
    ("on-failure", RestartWhen::OnFailure),
    ("on-abnormal", RestartWhen::OnAbnormal),
    ("on-abort", RestartWhen::OnAbort),
    ("always", RestartWhen::Always),
];

fn one_of<T: Copy>(name: &str, value: &str, known: &[(&str, T)]) -> Result<T, Unrunnable> {
    let found = known.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        Unrunnable::new(
            name,
            format!("`{value}` is not supported; use one of {}", words.join(", ")),
        )
    })
}

fn boolean(name: &str, value: &str) -> Result<bool, Unrunnable> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err(Unrunnable::new(name, format!("`{value}` is neither yes nor no"))),
    }
}

fn limit(name: &str, value: &str) -> Result<Option<Duration>, Unrunnable> {
    time_span::parse(value).map_err(|why| Unrunnable::new(name, why))
}

fn positive(limit: Option<Duration>) -> Option<Duration> {
    limit.filter(|limit| !limit.is_zero())
}

/// `143 1`; an empty value resets the list.
fn add_codes(codes: &mut Vec<i32>, value: &str) -> Result<(), String> {
    if value.is_empty() {
        codes.clear();
    }
    for word in value.split_whitespace() {
        let code = word
            .parse::<u8>()
            .map_err(|_| format!("`{word}` is not supported; list exit codes from 0 to 255"))?;
        codes.push(code.into());
    }
    Ok(())
}

/// A number, `soft:hard`, or `infinity`; the soft limit counts.
fn files(value: &str) -> Result<Option<u64>, String> {
    let soft = value.split_once(':').map_or(value, |(soft, _)| soft);
    if soft == "infinity" {
        return Ok(None);
    }
    soft.parse().map(Some).map_err(|_| format!("`{value}` is neither a number nor infinity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(is_root: bool) -> Host {
        Host { name: "h1".into(), is_root, allow_root_units: false, log_limit_bytes: 4096 }
    }

    fn plan_of(lines: &[(&str, &str)], is_root: bool) -> Result<Plan, Unrunnable> {
        let options: Vec<UnitOption> =
            lines.iter().map(|(name, value)| UnitOption::new("Service", *name, *value)).collect();
        super::super::plan(
            &UnitName::new("app@3.service").expect("a valid name"),
            &options,
            &host(is_root),
        )
    }

    #[test]
    fn a_service_is_read_with_its_defaults() {
        let plan = plan_of(
            &[("ExecStart", "/bin/x --name %p-%i \"a b\""), ("Environment", "A=1 \"B=2 3\"")],
            false,
        )
        .expect("runnable");
        assert_eq!(plan.start[0].argv, ["/bin/x", "--name", "app-3", "a b"]);
        assert!(plan.environment.contains(&("B".into(), "2 3".into())));
        assert_eq!((plan.kind, plan.restart), (ServiceKind::Simple, RestartWhen::No));
    }

    #[test]
    fn prefixes_of_a_command_are_told_from_its_program() {
        let plan = plan_of(&[("ExecStart", "-@/bin/x called ${HOME}")], false).expect("runnable");
        let command = &plan.start[0];
        assert_eq!((command.may_fail, command.verbatim), (true, false));
        assert_eq!(command.called.as_deref(), Some("called"));
        assert_eq!(command.argv, ["/bin/x", "${HOME}"]);
        let plan = plan_of(&[("ExecStart", ":/bin/x $A")], false).expect("runnable");
        assert!(plan.start[0].verbatim);
    }

    #[test]
    fn a_oneshot_may_take_its_time_unless_it_is_limited() {
        let start = ("ExecStart", "/bin/x");
        let limit = |lines: &[(&str, &str)]| plan_of(lines, false).expect("runnable").start_timeout;
        assert_eq!(limit(&[start]), Some(Duration::from_secs(90)));
        assert_eq!(limit(&[start, ("Type", "oneshot")]), None);
        let limited = [start, ("Type", "oneshot"), ("TimeoutStartSec", "2s")];
        assert_eq!(limit(&limited), Some(Duration::from_secs(2)));
        assert_eq!(limit(&[start, ("TimeoutStartSec", "0")]), None);
    }

    #[test]
    fn an_empty_value_resets_a_list() {
        let plan =
            plan_of(&[("ExecStart", "/bin/a"), ("ExecStart", ""), ("ExecStart", "/bin/b")], false)
                .expect("runnable");
        assert_eq!(plan.start.len(), 1);
        assert_eq!(plan.start[0].argv, ["/bin/b"]);
    }

    #[test]
    fn what_this_host_cannot_do_is_refused_by_name() {
        let start = ("ExecStart", "/bin/x");
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "ExecStart="),
            (&[("ExecStart", "x")], "ExecStart="),
            (&[start, start], "ExecStart="),
            (&[start, ("Type", "forking")], "Type="),
            (&[start, ("BusName", "a.b")], "BusName="),
            (&[start, ("Restart", "sometimes")], "Restart="),
            (&[start, ("Environment", "1A=x")], "Environment="),
            (&[start, ("WorkingDirectory", "tmp")], "WorkingDirectory="),
            (&[start, ("User", "nobody")], "User="),
            (&[("ExecStart", "+/bin/x")], "ExecStart="),
            (&[("ExecStart", "@/bin/x")], "ExecStart="),
            (&[("ExecStart", "/bin/x %z")], "ExecStart="),
            (&[start, ("KillMode", "none")], "KillMode="),
            (&[start, ("KillSignal", "TERM")], "KillSignal="),
            (&[start, ("StandardOutput", "file:/etc/x")], "StandardOutput="),
            (&[start, ("ExecStartPost", "/bin/x")], "ExecStartPost="),
            (&[start, ("LimitNOFILE", "many")], "LimitNOFILE="),
            (&[start, ("SuccessExitStatus", "SIGFOO")], "SuccessExitStatus="),
        ];
        for (lines, option) in cases {
            let why = plan_of(lines, false).expect_err(option);
            assert_eq!(why.option, *option, "{why}");
        }
    }

    #[test]
    fn a_root_host_refuses_a_unit_without_user() {
        assert_eq!(plan_of(&[("ExecStart", "/bin/x")], true).expect_err("no user").option, "User=");
        let why = plan_of(&[("ExecStart", "/bin/x"), ("User", "root")], true).expect_err("root");
        assert_eq!(why.option, "User=");
        let plan = plan_of(&[("ExecStart", "/bin/x"), ("User", "nobody")], true).expect("a user");
        assert!(plan.credentials.is_some_and(|who| who.uid != 0 && who.groups.contains(&who.gid)));
    }
}
