//! Whether what a configuration names is there: files, programs, the address.

use std::fs::File;
use std::io::{self, Read};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Component, Config};
use crate::error::NodeError;

impl Config {
    /// Looks at everything that the configuration names, for `--check`; changes nothing.
    ///
    /// # Errors
    ///
    /// The first thing that would keep the node, or a step of a workflow, from working.
    pub(crate) fn check_surroundings(&self) -> Result<(), NodeError> {
        self.check_data_dir()?;
        if self.hosts(Component::Builder) {
            self.check_builder()?;
        }
        if self.hosts(Component::Manager) {
            self.check_listen()?;
        }
        Ok(())
    }

    fn check_data_dir(&self) -> Result<(), NodeError> {
        let path = &self.node.data_dir;
        let place = path.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
        let usable = rustix::fs::access(place, rustix::fs::Access::WRITE_OK);
        usable.map_err(|cause| NodeError::DataDir { path: place.into(), cause: cause.into() })
    }

    fn check_builder(&self) -> Result<(), NodeError> {
        let builder = &self.builder;
        let program = &builder.git_program;
        let answer = Command::new(program).arg("version").stdin(Stdio::null()).output();
        match answer {
            Ok(answer) if answer.status.success() => {}
            Ok(answer) => {
                let why = format!("{} does not work: {}", program.display(), answer.status);
                return refuse("builder.git_program", why);
            }
            Err(cause) => {
                let why = format!("{} cannot be run: {cause}; install git", program.display());
                return refuse("builder.git_program", why);
            }
        }
        readable("builder.ssh_identity", builder.ssh_identity.as_ref(), Kind::Secret)?;
        readable("builder.ssh_known_hosts", builder.ssh_known_hosts.as_ref(), Kind::Public)?;
        readable("builder.https_ca_file", builder.https_ca_file.as_ref(), Kind::Public)?;
        for token in builder.https_tokens.values() {
            readable("builder.https_tokens", Some(token), Kind::Secret)?;
        }
        Ok(())
    }

    /// A node that runs with the same data directory holds the address itself.
    fn check_listen(&self) -> Result<(), NodeError> {
        let listen = self.manager.listen;
        match TcpListener::bind(listen) {
            Err(cause) if cause.kind() == io::ErrorKind::AddrInUse => {
                if oa_api::local::is_in_use(&self.node.data_dir) {
                    return Ok(());
                }
                let why = format!("another program listens on {listen}; stop it or name a port");
                refuse("manager.listen", why)
            }
            Err(cause) => refuse("manager.listen", format!("{listen} cannot be used: {cause}")),
            Ok(_) => Ok(()),
        }
    }
}

/// Who may read a file.
#[derive(PartialEq)]
enum Kind {
    Public,
    Secret,
}

fn readable(key: &'static str, path: Option<&PathBuf>, kind: Kind) -> Result<(), NodeError> {
    let Some(path) = path else { return Ok(()) };
    let read = File::open(path).and_then(|mut file| {
        file.read_exact(&mut [0])?;
        file.metadata()
    });
    let shown = path.display();
    match read {
        Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
            refuse(key, format!("{shown} is empty"))
        }
        Err(cause) => refuse(key, format!("{shown} cannot be read: {cause}")),
        Ok(found) if kind == Kind::Secret && found.permissions().mode() & 0o077 != 0 => {
            let mode = found.permissions().mode() & 0o777;
            refuse(key, format!("{shown} is a secret with mode {mode:o}; run chmod 600 {shown}"))
        }
        Ok(_) => Ok(()),
    }
}

fn refuse(key: &'static str, why: String) -> Result<(), NodeError> {
    Err(NodeError::BadSetting { key, why })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    fn on(data_dir: &Path) -> Config {
        let mut config = Config::default();
        config.node.data_dir = data_dir.to_path_buf();
        config.manager.listen.set_port(0);
        config.completed()
    }

    fn refusal(config: &Config) -> String {
        config.check_surroundings().expect_err("a refusal").to_string()
    }

    #[test]
    fn the_default_is_fine_where_git_is() {
        let home = tempfile::tempdir().expect("a directory");
        on(&home.path().join("not/yet/made")).check_surroundings().expect("nothing is missing");
    }

    #[test]
    fn a_missing_program_and_a_missing_file_are_named() {
        let home = tempfile::tempdir().expect("a directory");
        let mut config = on(home.path());
        config.builder.ssh_identity = Some("/nowhere/id".into());
        let why = refusal(&config);
        assert!(why.contains("builder.ssh_identity") && why.contains("/nowhere/id"), "{why}");
        config.builder.git_program = "/nowhere/git".into();
        let why = refusal(&config);
        assert!(why.contains("builder.git_program") && why.contains("install git"), "{why}");
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_the_fix() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("token");
        let mut options = File::options();
        options.write(true).create(true).mode(0o644);
        io::Write::write_all(&mut options.open(&path).expect("a file"), b"x").expect("written");
        let mut config = on(home.path());
        config.builder.https_tokens.insert("github.com".into(), path.clone());
        let why = refusal(&config);
        assert!(why.contains(&format!("chmod 600 {}", path.display())), "{why}");
    }

    #[test]
    fn an_address_of_another_program_is_refused() {
        let home = tempfile::tempdir().expect("a directory");
        let other = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut config = on(home.path());
        config.manager.listen = other.local_addr().expect("its address");
        let why = refusal(&config);
        assert!(why.contains("manager.listen") && why.contains("another program"), "{why}");
    }
}
