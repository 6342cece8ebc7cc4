//! A plan in the making.

use std::path::PathBuf;
use std::time::Duration;

use oa_fleet::unit::UnitOption;
use oa_fleet::{UnitName, unit_file};

use super::options::{self, Refused};
use super::plan::{Credentials, Exits, Kill, KillMode, Manners, Plan, RestartWhen, ServiceKind};
use super::user::{self, User};
use super::{Host, MaybeMissing, Resources, Specifiers, Unrunnable, signals};
use crate::metering::Labels;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Reads the options in order, then sees what they mean together.
pub(super) fn plan(
    name: &UnitName,
    options: &[UnitOption],
    host: &Host,
) -> Result<Plan, Unrunnable> {
    let mut draft = Draft::new(name, options, host);
    for option in options {
        let value = unit_file::joined(&option.value);
        let refuse = |Refused(why)| Unrunnable::new(&option.name, why);
        match option.section.as_str() {
            "Service" => options::read(&mut draft, &option.name, &value).map_err(refuse)?,
            // Limits of starts moved from one section to the other in systemd 230; both are in use.
            "Unit" if option.name.starts_with("StartLimit") => {
                options::read(&mut draft, &option.name, &value).map_err(refuse)?;
            }
            "Unit" => options::check_unit_section(&option.name).map_err(refuse)?,
            _ => {}
        }
    }
    draft.finish()
}

/// The plan so far, and what only makes sense once all options are read.
pub(super) struct Draft<'a> {
    pub(super) plan: Plan,
    pub(super) host: &'a Host,
    pub(super) specifiers: Specifiers<'a>,
    pub(super) start_timeout_is_set: bool,
    pub(super) user: Option<User>,
    pub(super) group: Option<u32>,
    pub(super) more_groups: Vec<u32>,
    /// `WorkingDirectory=~`.
    pub(super) in_home: bool,
    pub(super) environment: Vec<(String, String)>,
}

impl<'a> Draft<'a> {
    fn new(name: &'a UnitName, options: &[UnitOption], host: &'a Host) -> Self {
        let plan = Plan {
            unit: name.to_string(),
            hash: oa_fleet::unit_file::hash(options),
            launch: 0,
            labels: Labels::default(),
            kind: ServiceKind::Simple,
            remain_after_exit: false,
            pid_file: None,
            guess_main_pid: true,
            start_pre: Vec::new(),
            start: Vec::new(),
            start_post: Vec::new(),
            reload: Vec::new(),
            stop: Vec::new(),
            stop_post: Vec::new(),
            environment: Vec::new(),
            environment_files: Vec::new(),
            // Whoever may not run units as root may not read as root either.
            files_as_user: !host.allow_root_units,
            working_directory: MaybeMissing { path: PathBuf::from("/"), may_be_missing: false },
            credentials: None,
            manners: Manners {
                umask: 0o022,
                nice: None,
                oom_score_adjust: None,
                ignore_sigpipe: true,
            },
            limits: Vec::new(),
            resources: Resources::default(),
            kill: Kill {
                mode: KillMode::ControlGroup,
                signal: signals::TERM,
                and_hangup: false,
                and_kill: true,
                final_signal: signals::KILL,
            },
            restart: RestartWhen::No,
            restart_after: Duration::from_millis(100),
            start_timeout: Some(Duration::from_secs(90)),
            stop_timeout: Some(Duration::from_secs(10)),
            run_timeout: None,
            success: Exits::default(),
            prevent_restart: Exits::default(),
            force_restart: Exits::default(),
            start_limit_burst: 5,
            start_limit_interval: Duration::from_secs(10),
            log_limit_bytes: host.log_limit_bytes,
        };
        Self {
            plan,
            host,
            specifiers: Specifiers { unit: name, host },
            start_timeout_is_set: false,
            user: None,
            group: None,
            more_groups: Vec::new(),
            in_home: false,
            environment: Vec::new(),
        }
    }

    fn finish(mut self) -> Result<Plan, Unrunnable> {
        self.check_commands()?;
        if self.plan.kind == ServiceKind::Oneshot && !self.start_timeout_is_set {
            self.plan.start_timeout = None;
        }
        self.plan.credentials = self.credentials()?;
        let user = self.user.as_ref().unwrap_or(&self.host.manager);
        if self.in_home {
            self.plan.working_directory.path = user.home.clone().into();
        }
        let mut environment = vec![
            ("PATH".into(), PATH.into()),
            ("LANG".into(), "C.UTF-8".into()),
            ("USER".into(), user.name.clone()),
            ("LOGNAME".into(), user.name.clone()),
            ("HOME".into(), user.home.clone()),
        ];
        if let Some(user) = &self.user {
            environment.push(("SHELL".into(), user.shell.clone()));
        }
        environment.append(&mut self.environment);
        self.plan.environment = environment;
        Ok(self.plan)
    }

    /// Which commands a unit of its type has.
    fn check_commands(&self) -> Result<(), Unrunnable> {
        let plan = &self.plan;
        let refuse = |option: &str, why: &str| Err(Unrunnable::new(option, why));
        let oneshot = plan.kind == ServiceKind::Oneshot;
        if plan.start.is_empty() && !(oneshot && plan.remain_after_exit && !plan.stop.is_empty()) {
            return refuse(
                "ExecStart",
                "a service needs one; only Type=oneshot with RemainAfterExit=yes and an ExecStop= does not",
            );
        }
        if !oneshot && plan.start.len() > 1 {
            return refuse("ExecStart", "only Type=oneshot may have several");
        }
        if oneshot && matches!(plan.restart, RestartWhen::Always | RestartWhen::OnSuccess) {
            return refuse("Restart", "Type=oneshot must not be restarted after a success");
        }
        if plan.pid_file.is_some() && plan.kind != ServiceKind::Forking {
            return refuse("PIDFile", "it is for Type=forking only");
        }
        Ok(())
    }

    /// Whom the unit runs as; `None` if as the host itself.
    fn credentials(&self) -> Result<Option<Credentials>, Unrunnable> {
        let refuse = |why: &str| Err(Unrunnable::new("User", why));
        let manager = &self.host.manager;
        if !self.host.is_root {
            let is_own = self.user.as_ref().is_none_or(|user| user.uid == manager.uid)
                && self.group.is_none_or(|group| group == manager.gid)
                && self.more_groups.is_empty();
            if !is_own {
                return refuse("this host does not run as root, so it cannot change users");
            }
            return Ok(None);
        }
        let as_root = self.user.as_ref().is_none_or(|user| user.uid == 0);
        if as_root && !self.host.allow_root_units {
            return refuse(
                "it is missing or root, and this host runs as root; name another user, \
                 or set cluster.local.allow_root_units",
            );
        }
        if self.user.is_none() && self.group.is_none() && self.more_groups.is_empty() {
            return Ok(None);
        }
        let user = self.user.as_ref().unwrap_or(manager);
        let gid = self.group.unwrap_or(user.gid);
        let mut groups = user::groups_of(user);
        for group in self.more_groups.iter().chain([&gid]) {
            if !groups.contains(group) {
                groups.push(*group);
            }
        }
        Ok(Some(Credentials { uid: user.uid, gid, groups }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::plan_of;
    use super::*;

    #[test]
    fn a_service_is_read_with_its_defaults() {
        let lines =
            [("ExecStart", "/bin/x --name %p-%i \"a b\""), ("Environment", "A=1 \"B=2 3\"")];
        let plan = plan_of(&lines, false).expect("runnable");
        assert_eq!(plan.start[0].argv, ["/bin/x", "--name", "app-3", "a b"]);
        assert!(plan.environment.contains(&("B".into(), "2 3".into())));
        assert_eq!((plan.kind, plan.restart), (ServiceKind::Simple, RestartWhen::No));
        assert_eq!((plan.kill.mode, plan.kill.signal), (KillMode::ControlGroup, 15));
        assert!(plan.manners.ignore_sigpipe && plan.manners.umask == 0o022);
    }

    #[test]
    fn options_that_do_not_fit_together_are_refused_by_name() {
        let start = ("ExecStart", "/bin/x");
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "ExecStart="),
            (&[("ExecStop", "/bin/x"), ("Type", "oneshot")], "ExecStart="),
            (&[start, start], "ExecStart="),
            (&[("ExecStart", "/bin/x ; /bin/y")], "ExecStart="),
            (&[start, ("Type", "oneshot"), ("Restart", "always")], "Restart="),
            (&[start, ("Type", "oneshot"), ("Restart", "on-success")], "Restart="),
            (&[start, ("PIDFile", "/run/x.pid")], "PIDFile="),
            (&[start, ("User", "nobody")], "User="),
        ];
        for (lines, option) in cases {
            let why = plan_of(lines, false).expect_err(option);
            assert_eq!(why.option, *option, "{why}");
        }
        let stays = [("ExecStop", "/bin/x"), ("Type", "oneshot"), ("RemainAfterExit", "yes")];
        assert!(plan_of(&stays, false).expect("runnable").start.is_empty());
    }

    #[test]
    fn a_root_host_refuses_a_unit_without_user() {
        assert_eq!(plan_of(&[("ExecStart", "/bin/x")], true).expect_err("no user").option, "User=");
        let why = plan_of(&[("ExecStart", "/bin/x"), ("User", "root")], true).expect_err("root");
        assert_eq!(why.option, "User=");
        let plan = plan_of(&[("ExecStart", "/bin/x"), ("User", "nobody")], true).expect("a user");
        assert!(plan.credentials.is_some_and(|who| who.uid != 0 && who.groups.contains(&who.gid)));
    }

    #[test]
    fn the_unit_section_is_looked_at_too() {
        let unit = UnitName::new("a.service").expect("a valid name");
        let read = |name: &str, value: &str| {
            let options = [
                UnitOption::new("Unit", name, value),
                UnitOption::new("Service", "ExecStart", "/bin/x"),
            ];
            plan(&unit, &options, &super::super::testing::host(false))
        };
        assert_eq!(read("StartLimitBurst", "7").expect("runnable").start_limit_burst, 7);
        for fine in ["Description", "After", "X-Anything"] {
            assert!(read(fine, "x.service").is_ok(), "{fine}");
        }
        let why = read("OnFailure", "x.service").expect_err("not supported");
        assert_eq!(why.option, "OnFailure=");
        assert!(read("Affter", "x.service").expect_err("unknown").why.contains("`After`"));
    }
}
