//! Where an actor stands in the tree.

use std::fmt;
use std::sync::Arc;

/// The names from the root down to an actor: `/manager/heartbeats`. The root is `/`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ActorPath(Arc<str>);

impl ActorPath {
    pub(crate) fn root() -> Self {
        Self("/".into())
    }

    pub(crate) fn child(&self, name: &str) -> Self {
        if self.is_root() {
            Self(format!("/{name}").into())
        } else {
            Self(format!("{}/{name}", self.0).into())
        }
    }

    fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last name; empty for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for ActorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ActorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text cannot name an actor, if it cannot.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > 200 {
        return Err("it must have 1 to 200 bytes");
    }
    if name.contains('/') || name.chars().any(char::is_control) {
        return Err("it must not contain `/` or control characters");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_every_level() {
        let path = ActorPath::root().child("manager").child("heartbeats");
        assert_eq!(path.as_str(), "/manager/heartbeats");
        assert_eq!(path.name(), "heartbeats");
        assert_eq!(ActorPath::root().name(), "");
    }

    #[test]
    fn a_name_holds_no_slash() {
        assert!(check_name("a/b").is_err());
        assert!(check_name("").is_err());
        assert!(check_name("app@1.service").is_ok());
    }
}
