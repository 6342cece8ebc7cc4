//! Ids and names, checked when they are made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a fresh id (UUIDv7: ordered by the time of its making).
            #[must_use]
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as a UUID.
            #[must_use]
            pub fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

uuid_id! {
    /// Names one workflow.
    WorkflowId
}
uuid_id! {
    /// Names one attempt at one step of a workflow.
    AttemptId
}
uuid_id! {
    /// Names one run of a unit.
    IntervalId
}

/// Why a text is not the name that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}: {why}")]
pub struct InvalidName {
    /// What the text should have been, such as `unit name`.
    pub what: &'static str,
    /// The text, cut to 80 characters.
    pub text: String,
    /// What is wrong with it and what is allowed.
    pub why: String,
}

impl InvalidName {
    /// Refuses `text` as a `what`, because of `why`.
    #[must_use]
    pub fn new(what: &'static str, text: &str, why: impl Into<String>) -> Self {
        let text = text.chars().take(80).flat_map(char::escape_default).collect();
        Self { what, text, why: why.into() }
    }
}

macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks `text`.
            ///
            /// # Errors
            ///
            /// [`InvalidName`] with the reason.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                $check(&text)?;
                Ok(Self(text))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_name! {
    /// Names a cluster: 1–255 letters, digits, `-`, `_`, `.`, beginning with a letter or digit.
    ///
    /// In the original this was an etcd discovery token; here it is the cluster's id, whatever its engine.
    EtcdToken, check_etcd_token
}
checked_name! {
    /// Names a unit: `<prefix>.<type>` or `<prefix>@<instance>.<type>`, at most 256 characters.
    ///
    /// # Source
    ///
    /// coreos/fleet, `unit/unit.go`, and systemd.unit(5).
    UnitName, check_unit_name
}

fn check_etcd_token(text: &str) -> Result<(), InvalidName> {
    let refuse = |why: &str| Err(InvalidName::new("cluster token", text, why));
    if text.is_empty() || text.len() > 255 {
        return refuse("it must have 1 to 255 characters");
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return refuse("it must begin with a letter or a digit");
    }
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return refuse("only letters, digits, `-`, `_` and `.` are allowed");
    }
    Ok(())
}

fn check_unit_name(text: &str) -> Result<(), InvalidName> {
    let refuse = |why: &str| Err(InvalidName::new("unit name", text, why));
    if text.is_empty() || text.len() > 256 {
        return refuse("it must have 1 to 256 characters");
    }
    // Stricter than Fleet: a leading dash or dot could be read as an option or a path by some program.
    if text.starts_with(['@', '-', '.']) {
        return refuse("it must not begin with `@`, `-` or `.`");
    }
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c)) {
        return refuse("only letters, digits and `: - _ . \\ @` are allowed");
    }
    let Some((stem, kind)) = text.rsplit_once('.') else {
        return refuse("it must end in a type, such as `.service`");
    };
    if stem.is_empty() {
        return refuse("there is nothing before the type");
    }
    let known: &[&str] =
        if stem.contains('@') { &UnitName::TEMPLATE_TYPES } else { &UnitName::TYPES };
    if !known.contains(&kind) {
        return Err(InvalidName::new(
            "unit name",
            text,
            format!("its type must be one of {}", known.join(", ")),
        ));
    }
    Ok(())
}

impl UnitName {
    /// Unit types that systemd knew when Fleet was written.
    pub const TYPES: [&str; 13] = [
        "automount",
        "busname",
        "device",
        "mount",
        "path",
        "scope",
        "service",
        "slice",
        "snapshot",
        "socket",
        "swap",
        "target",
        "timer",
    ];
    /// Those of them that have templates and instances.
    pub const TEMPLATE_TYPES: [&str; 4] = ["path", "service", "socket", "target"];

    /// The part before the `@`, or before the type if there is none.
    #[must_use]
    pub fn prefix(&self) -> &str {
        let stem = self.stem();
        stem.split_once('@').map_or(stem, |(prefix, _)| prefix)
    }

    /// The part between the first `@` and the type: `Some("")` for a template, `None` without an `@`.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        self.stem().split_once('@').map(|(_, instance)| instance)
    }

    /// Whether this is a template, such as `app@.service`.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.instance() == Some("")
    }

    /// The name without its type.
    #[must_use]
    pub fn stem(&self) -> &str {
        self.0.rsplit_once('.').map_or(self.0.as_str(), |(stem, _)| stem)
    }

    /// The type, such as `service`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.rsplit_once('.').map_or("", |(_, kind)| kind)
    }

    /// The name of instance `index` of this unit or template: `app@.service` and 2 give `app@2.service`.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the result is too long or the type takes no instances.
    pub fn with_instance(&self, index: u32) -> Result<Self, InvalidName> {
        Self::new(format!("{}@{index}.{}", self.prefix(), self.kind()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_name_splits_into_prefix_instance_and_type() {
        let name = UnitName::new("app@3.service").expect("a valid name");
        assert_eq!((name.prefix(), name.instance(), name.kind()), ("app", Some("3"), "service"));
        assert!(UnitName::new("app@.service").expect("a template").is_template());
        assert_eq!(UnitName::new("app.service").expect("a plain unit").instance(), None);
    }

    #[test]
    fn hostile_unit_names_are_refused_with_a_reason() {
        for text in [
            "",
            "a;rm.service",
            "$(id).service",
            "../x.service",
            "-x.service",
            "x.nonsense",
            "x",
            ".service",
            "a b.service",
        ] {
            let refusal = UnitName::new(text).expect_err(text);
            assert!(!refusal.why.is_empty(), "{text}");
        }
    }

    #[test]
    fn instances_are_named_after_the_template() {
        let template = UnitName::new("app@.service").expect("a template");
        assert_eq!(template.with_instance(2).expect("an instance").as_str(), "app@2.service");
    }

    #[test]
    fn hostile_tokens_are_refused() {
        for text in ["", "../x", "-x", "a b", "a;b", "a/b", "a\nb"] {
            assert!(EtcdToken::new(text).is_err(), "{text}");
        }
        assert!(EtcdToken::new("local").is_ok());
    }

    #[test]
    fn a_name_in_json_is_checked_while_it_is_read() {
        assert!(serde_json::from_str::<UnitName>("\"../x.service\"").is_err());
        assert!(serde_json::from_str::<UnitName>("\"x.service\"").is_ok());
    }
}
