//! Names of revisions, checked.

use std::fmt;

use oa_protocol::InvalidName;

/// Longest name of a revision.
const LONGEST: usize = 250;

/// A branch, a tag, a full name such as `refs/heads/main`, or a commit. Made only by [`GitRef::parse`].
///
/// Stricter than git: only letters, digits and `. _ - / + @ # = ,`.
///
/// # Source
///
/// git-check-ref-format(1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitRef(String);

impl GitRef {
    /// Checks `text`.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] with what is wrong and what is allowed.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refuse = |why: &str| Err(InvalidName::new("git ref", text, why));
        if text.is_empty() || LONGEST < text.len() {
            return refuse("it must have 1 to 250 characters");
        }
        if text.starts_with('-') {
            return refuse("it must not begin with `-`");
        }
        if !text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/+@#=,".contains(c)) {
            return refuse("only letters, digits and `. _ - / + @ # = ,` are allowed");
        }
        if text.contains("..") {
            return refuse("it must not contain `..`");
        }
        if text == "@" {
            return refuse("write `HEAD` or a branch");
        }
        for part in text.split('/') {
            if part.is_empty() {
                return refuse("it must not begin or end with `/` or contain `//`");
            }
            if part.starts_with('.') || part.ends_with('.') || part.ends_with(".lock") {
                return refuse("no part of it may begin or end with `.` or end with `.lock`");
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a whole object name, so that no branch can be meant.
    pub(crate) fn is_full_hash(&self) -> bool {
        self.0.len() == CommitId::LENGTH && is_hex(&self.0)
    }

    /// Whether it can be the beginning of an object name.
    pub(crate) fn may_be_short_hash(&self) -> bool {
        (4..CommitId::LENGTH).contains(&self.0.len()) && is_hex(&self.0)
    }
}

impl fmt::Display for GitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The whole name of a git object, in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommitId(String);

impl CommitId {
    const LENGTH: usize = 40;

    /// Checks `text`.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if it is not 40 hex digits.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.len() != Self::LENGTH || !is_hex(text) {
            return Err(InvalidName::new("commit", text, "it must be 40 hex digits"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The beginning, for people.
    pub(crate) fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_people_use_are_accepted() {
        for text in [
            "main",
            "release/1.2",
            "v1.2.3",
            "feature/#12-x",
            "refs/tags/v1",
            "a+b",
            "HEAD",
            "deadbeef",
        ] {
            assert_eq!(GitRef::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn hostile_names_are_refused_with_a_reason() {
        for text in [
            "",
            "-x",
            "--upload-pack=x",
            "a;b",
            "$(id)",
            "`id`",
            "a b",
            "a\nb",
            "a\0b",
            "../x",
            "a..b",
            "a//b",
            "/a",
            "a/",
            ".a",
            "a/.b",
            "a.",
            "a.lock",
            "a/b.lock/c",
            "@",
            "a@{1}",
            "a:b",
            "a^",
            "a~1",
            "a?",
            "a*",
            "a[b",
            "a\\b",
            "é",
        ] {
            let refusal = GitRef::parse(text).expect_err(text);
            assert!(!refusal.why.is_empty() && !refusal.to_string().contains('\n'), "{text:?}");
        }
        assert!(GitRef::parse(&"a".repeat(251)).is_err());
    }

    #[test]
    fn a_hash_is_told_from_a_name() {
        let full = GitRef::parse("0123456789abcdef0123456789abcdef01234567").expect("a hash");
        assert!(full.is_full_hash() && !full.may_be_short_hash());
        assert!(GitRef::parse("deadbeef").expect("a name").may_be_short_hash());
        assert!(!GitRef::parse("main").expect("a name").may_be_short_hash());
        assert!(CommitId::parse("deadbeef").is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_is_safe_as_an_argument(text in ".{0,40}|[-a-z./@~^:]{0,20}") {
            if let Ok(name) = GitRef::parse(&text) {
                proptest::prop_assert_eq!(name.as_str(), &text);
                proptest::prop_assert!(!text.starts_with('-') && !text.contains(".."));
                proptest::prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
