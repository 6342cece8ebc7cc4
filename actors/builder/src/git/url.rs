//! Where a repository lies, checked.
//!
//! | text | means |
//! |---|---|
//! | `org/name` | that repository at the configured host |
//! | `https://host/path`, `ssh://user@host/path`, `user@host:path` | itself |
//! | `/absolute/path`, `file:///absolute/path` | a repository of this machine, if the configuration allows it |
//!
//! All else is refused: `http:` and `git:` are not encrypted, `ext::` and its kin run programs. So are credentials in a
//! URL, since workflows are stored and shown.

use std::fmt;
use std::path::{Path, PathBuf};

use oa_protocol::InvalidName;

use super::complaint::redact;

/// Longest text that is looked at.
const LONGEST: usize = 2048;
const WHAT: &str = "repository";
const FORMS: &str =
    "use `org/name`, `https://host/path`, `ssh://user@host/path` or `user@host:path`";

/// What the configuration says about repositories.
#[derive(Debug, Clone)]
pub struct UrlRules {
    /// Where `org/name` lies, such as `https://github.com`.
    pub default_host: String,
    /// Whether repositories of this machine may be used.
    pub allow_local: bool,
}

/// Where a repository lies. Made only by [`GitUrl::parse`]; never holds a control character or a leading dash.
#[derive(Debug, Clone)]
pub struct GitUrl {
    /// What git gets.
    location: String,
    /// What the client wrote.
    written: String,
    local: Option<PathBuf>,
    https_host: Option<String>,
}

impl GitUrl {
    /// Checks `text`.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] with what is wrong and what is allowed.
    pub fn parse(text: &str, rules: &UrlRules) -> Result<Self, InvalidName> {
        let refuse = |why: String| Err(InvalidName::new(WHAT, &redact(text), why));
        if let Err(why) = check_text(text) {
            return refuse(why);
        }
        let parsed = if let Some(path) = text.strip_prefix("file://") {
            local(path, rules)
        } else if text.starts_with('/') {
            local(text, rules)
        } else if text.starts_with("https://") || text.starts_with("ssh://") {
            with_scheme(text)
        } else if text.contains("://") || text.contains("::") {
            Err(format!("its scheme is not allowed; {FORMS}"))
        } else if text.contains(':') {
            scp_like(text)
        } else {
            return Self::short(text, rules);
        };
        match parsed {
            Ok(url) => Ok(Self { written: text.to_owned(), ..url }),
            Err(why) => refuse(why),
        }
    }

    /// `org/name` at the default host.
    fn short(text: &str, rules: &UrlRules) -> Result<Self, InvalidName> {
        let refuse = |why: String| Err(InvalidName::new(WHAT, text, why));
        let Some((organization, name)) = text.trim_end_matches('/').split_once('/') else {
            return refuse(FORMS.into());
        };
        for part in [organization, name] {
            let fits = part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            if !fits {
                return refuse(format!(
                    "`org/name` is made of letters, digits, `-`, `_` and `.`, and begins with a letter or digit; {FORMS}"
                ));
            }
        }
        let name = name.strip_suffix(".git").unwrap_or(name);
        let whole =
            format!("{}/{organization}/{name}.git", rules.default_host.trim_end_matches('/'));
        Ok(Self { written: text.to_owned(), ..Self::parse(&whole, rules)? })
    }

    /// What the client wrote.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// What git gets as its argument.
    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    /// The path, if the repository is one of this machine.
    pub(crate) fn local_path(&self) -> Option<&Path> {
        self.local.as_deref()
    }

    /// The same repository of this machine by the path that leads to it without links.
    pub(crate) fn resolved(self, real: PathBuf) -> Self {
        Self { location: real.to_string_lossy().into_owned(), local: Some(real), ..self }
    }

    /// What git calls the way to it.
    pub(crate) fn protocol(&self) -> &'static str {
        match (&self.local, &self.https_host) {
            (Some(_), _) => "file",
            (None, Some(_)) => "https",
            (None, None) => "ssh",
        }
    }

    /// The host, if it is reached by https.
    pub(crate) fn https_host(&self) -> Option<&str> {
        self.https_host.as_deref()
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.location)
    }
}

fn check_text(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("it is empty; {FORMS}"));
    }
    if LONGEST < text.len() {
        return Err(format!("it is longer than {LONGEST} characters"));
    }
    if text.starts_with('-') {
        return Err("it must not begin with `-`".into());
    }
    if let Some(odd) =
        text.chars().find(|c| !(c.is_alphanumeric() || " -._~/:@%+,=[]".contains(*c)))
    {
        return Err(format!("it must not contain `{}`", odd.escape_default()));
    }
    if text.split(['/', ':']).any(|segment| segment == "..") {
        return Err("it must not contain `..`".into());
    }
    Ok(())
}

fn located(location: String) -> GitUrl {
    GitUrl { location, written: String::new(), local: None, https_host: None }
}

fn local(path: &str, rules: &UrlRules) -> Result<GitUrl, String> {
    if !rules.allow_local {
        return Err(
            "repositories of this machine are switched off; set `node.allow_local_repositories`"
                .into(),
        );
    }
    if !path.starts_with('/') {
        return Err("a repository of this machine needs an absolute path".into());
    }
    if path.contains('%') {
        return Err("write the path as it is, without `%`".into());
    }
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return Err("it names the root of this machine, which is no repository".into());
    }
    Ok(GitUrl { local: Some(path.into()), ..located(path.to_owned()) })
}

fn check_path(path: &str) -> Result<(), String> {
    if path.trim_matches('/').is_empty() {
        return Err("it names a host but no repository".into());
    }
    if path.starts_with('-') {
        return Err("its path must not begin with `-`".into());
    }
    only_ascii(path)
}

fn only_ascii(text: &str) -> Result<(), String> {
    match text.chars().find(|c| !c.is_ascii() || *c == ' ') {
        Some(odd) => Err(format!("it must not contain `{odd}`; write it as %XX")),
        None => Ok(()),
    }
}

fn check_host(host: &str) -> Result<(), String> {
    let name = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let fits = match name {
        Some(address) => address.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c)),
        None => {
            host.starts_with(|c: char| c.is_ascii_alphanumeric())
                && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        }
    };
    if fits { Ok(()) } else { Err(format!("`{host}` is not the name of a host")) }
}

fn check_user(user: &str) -> Result<(), String> {
    let fits = user.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && user.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if fits { Ok(()) } else { Err("its user is made of letters, digits, `-`, `_` and `.`".into()) }
}

fn with_scheme(text: &str) -> Result<GitUrl, String> {
    only_ascii(text)?;
    let url = url::Url::parse(text).map_err(|why| format!("it is not a URL: {why}"))?;
    check_host(url.host_str().unwrap_or_default())?;
    check_path(url.path().trim_start_matches('/'))?;
    if url.path().split('/').any(|segment| segment == "..")
        || text.to_ascii_lowercase().contains("%2e")
    {
        return Err("it must not contain `..`".into());
    }
    if url.scheme() == "ssh" {
        if url.password().is_some() {
            return Err("ssh takes a key, not a password; leave it out".into());
        }
        if !url.username().is_empty() {
            check_user(url.username())?;
        }
        return Ok(located(url.as_str().trim_end_matches('/').to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials do not belong into a URL, since workflows are stored and shown; \
                    set `builder.https_tokens` or use ssh"
            .into());
    }
    let https_host = url.host_str().map(str::to_owned);
    Ok(GitUrl { https_host, ..located(url.as_str().trim_end_matches('/').to_owned()) })
}

fn scp_like(text: &str) -> Result<GitUrl, String> {
    only_ascii(text)?;
    let Some((user, rest)) = text.split_once('@') else {
        return Err(format!("it has a `:` but no user before it; {FORMS}"));
    };
    let Some((host, path)) = rest.split_once(':') else {
        return Err(FORMS.into());
    };
    check_user(user)?;
    check_host(host)?;
    check_path(path)?;
    Ok(located(text.trim_end_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow_local: bool) -> UrlRules {
        UrlRules { default_host: "https://github.com".into(), allow_local }
    }

    fn location(text: &str) -> String {
        GitUrl::parse(text, &rules(true)).expect(text).location().to_owned()
    }

    #[test]
    fn every_allowed_form_becomes_what_git_gets() {
        for (text, expected) in [
            ("org/name", "https://github.com/org/name.git"),
            ("org/name.git", "https://github.com/org/name.git"),
            ("https://git.example/a/b/c.git", "https://git.example/a/b/c.git"),
            ("https://git.example:8443/a/b/", "https://git.example:8443/a/b"),
            ("ssh://git@git.example:2222/srv/a.git", "ssh://git@git.example:2222/srv/a.git"),
            ("git@git.example:org/name.git", "git@git.example:org/name.git"),
            ("/srv/git/name.git", "/srv/git/name.git"),
            ("file:///srv/git/name.git/", "/srv/git/name.git"),
        ] {
            assert_eq!(location(text), expected, "{text}");
        }
    }

    #[test]
    fn hostile_texts_are_refused_with_a_reason() {
        for text in [
            "",
            "name",
            "-x",
            "--upload-pack=touch /tmp/x",
            "-o/name",
            "org/-name",
            "org/name;id",
            "org/$(id)",
            "org/`id`",
            "org/na me",
            "org/../name",
            "org/name/more",
            "org/na\nme",
            "http://git.example/a",
            "git://git.example/a",
            "ext::touch /tmp/x",
            "ext::sh",
            "fd::17",
            "https::git.example",
            "https://",
            "https://git.example",
            "https://git.example/../x",
            "https://git.example/%2e%2e/x",
            "https://git.example/a?x=y",
            "https://git.example/a b",
            "https://-x/a",
            "ssh://-oProxyCommand=x/a",
            "ssh://git@-oProxyCommand=x/a",
            "ssh://-l@host/a",
            "ssh://git:secret@host/a",
            "ssh://git@host/-x",
            "git@-oProxyCommand=x:a",
            "-git@host:a",
            "git@host:-x",
            "git@host:",
            "git@host:../x",
            "host:a",
            "/",
            "//",
            "file:////",
            "/srv/../etc",
            "/srv/$(id)",
            "/srv/a;b",
            "/srv/a\0b",
            "file://host/srv/a",
            "file:///srv/%2e%2e/a",
            "./a",
            "../a",
            "C:\\a",
        ] {
            let refusal = GitUrl::parse(text, &rules(true)).expect_err(text);
            assert!(!refusal.why.is_empty(), "{text}");
            assert!(!refusal.to_string().contains(['\n', '\0']), "{text}");
        }
    }

    #[test]
    fn local_repositories_are_refused_unless_allowed() {
        for text in ["/srv/a.git", "file:///srv/a.git"] {
            let refusal = GitUrl::parse(text, &rules(false)).expect_err(text);
            assert!(refusal.why.contains("allow_local_repositories"), "{refusal}");
        }
    }

    #[test]
    fn credentials_in_a_url_are_refused_and_not_repeated() {
        for text in [
            "https://x:s3cret@github.com/a/b.git",
            "https://s3cret@github.com/a/b",
            "ssh://git:s3cret@host/a",
        ] {
            let refusal = GitUrl::parse(text, &rules(false)).expect_err(text);
            assert!(!refusal.to_string().contains("s3cret"), "{refusal}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_is_safe_as_an_argument(
            text in ".{0,40}|[-a-z./@:%~]{0,30}|(https|ssh|ext|file)://[-a-z./@:%]{0,30}",
        ) {
            if let Ok(url) = GitUrl::parse(&text, &rules(true)) {
                let location = url.location();
                // `word::address` would make git run `git-remote-word`.
                let helper = location.split_once("::").map_or("/", |(word, _)| word);
                proptest::prop_assert!(!location.starts_with('-') && helper.contains(['/', '@']));
                proptest::prop_assert!(!location.chars().any(char::is_control));
                proptest::prop_assert!(!location.split('/').any(|part| part == ".."));
            }
        }
    }
}
