//! Which repositories and revisions a workflow may name.
//!
//! They end up as arguments of git, on another machine. Only shapes that are known to be harmless pass; everything
//! else is refused before anything is stored, with what is wrong and what is allowed.

use crate::error::Problem;

/// Longest name of a repository.
const MAX_REPOSITORY: usize = 512;
/// Longest name of a branch, tag or commit.
const MAX_REVISION: usize = 256;

/// Checks the repository in `field`: `org/name`, an `https://`, `ssh://` or `git@` URL; if `allow_local`, also an
/// absolute path or a `file://` URL.
pub(crate) fn check_repository(field: &str, text: &str, allow_local: bool) -> Result<(), Problem> {
    let allowed = if allow_local {
        "`org/name`, an https://, ssh:// or git@ URL, an absolute path or a file:// URL"
    } else {
        "`org/name`, or an https://, ssh:// or git@ URL"
    };
    repository(text, allow_local).map_err(|why| Problem::new(field, why).allowed(allowed))
}

/// Checks the branch, tag or commit in `field`.
pub(crate) fn check_revision(field: &str, text: &str) -> Result<(), Problem> {
    revision(text).map_err(|why| {
        Problem::new(field, why).allowed(format!(
            "a branch, tag or commit: at most {MAX_REVISION} letters, digits and `. _ / + @ # -`"
        ))
    })
}

fn repository(text: &str, allow_local: bool) -> Result<(), String> {
    common(text, MAX_REPOSITORY)?;
    if let Some(rest) = text.strip_prefix("https://") {
        return remote(rest, false);
    }
    if let Some(rest) = text.strip_prefix("ssh://") {
        return remote(rest, true);
    }
    if let Some(rest) = text.strip_prefix("git@") {
        let (host, path) = rest.split_once(':').ok_or("names no path: it reads `git@host:path`")?;
        check_host(host)?;
        return segments(path, "~");
    }
    if let Some(path) = text.strip_prefix("file://") {
        return local(path, allow_local);
    }
    if text.starts_with('/') {
        return local(text, allow_local);
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!("has the scheme `{scheme}`, which is not allowed"));
    }
    if text.split('/').count() != 2 {
        return Err("is not of the form `org/name`".to_owned());
    }
    segments(text, "")
}

/// `[user@]host[:port]/path`.
fn remote(rest: &str, user_allowed: bool) -> Result<(), String> {
    let (authority, path) = rest.split_once('/').ok_or("names no path after the host")?;
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    match user {
        Some(_) if !user_allowed => {
            return Err(
                "holds credentials, which belong into the worker's configuration".to_owned()
            );
        }
        Some(user) if user.contains(':') => {
            return Err(
                "holds a password, which belongs into the worker's configuration".to_owned()
            );
        }
        Some(user) => segments(user, "")?,
        None => {}
    }
    let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
    check_host(host)?;
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("names a port that is no number from 0 to 65535".to_owned());
    }
    segments(path, "~")
}

fn check_host(host: &str) -> Result<(), String> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    if host.is_empty() || host.starts_with(['-', '.']) || !host.chars().all(harmless) {
        return Err("names no valid host".to_owned());
    }
    Ok(())
}

fn local(path: &str, allowed: bool) -> Result<(), String> {
    if !allowed {
        return Err(
            "names a place on this machine, which `allow_local_repositories` does not permit"
                .to_owned(),
        );
    }
    if !path.starts_with('/') {
        return Err("is not an absolute path".to_owned());
    }
    segments(path.trim_matches('/'), "~,=:")
}

/// Checks what holds for every name.
fn common(text: &str, most: usize) -> Result<(), String> {
    if text.is_empty() {
        return Err("can't be blank".to_owned());
    }
    if text.chars().count() > most {
        return Err(format!("should be at most {most} character(s)"));
    }
    if let Some(control) = text.chars().find(|c| c.is_control()) {
        return Err(format!("holds the control character {}", control.escape_default()));
    }
    if text.starts_with('-') {
        return Err("begins with `-`, which a program would read as an option".to_owned());
    }
    Ok(())
}

/// Checks a path of harmless segments: no `..`, none that begins with `-`, no character outside the list.
fn segments(path: &str, more: &str) -> Result<(), String> {
    for segment in path.split('/') {
        match segment {
            "" => return Err("has an empty part between two `/`".to_owned()),
            "." | ".." => {
                return Err(format!(
                    "has the part `{segment}`, which leaves the path that is named"
                ));
            }
            _ if segment.starts_with('-') => {
                return Err("has a part that begins with `-`".to_owned());
            }
            _ => {}
        }
        let harmless =
            |c: char| c.is_ascii_alphanumeric() || "._+@-".contains(c) || more.contains(c);
        if let Some(bad) = segment.chars().find(|&c| !harmless(c)) {
            return Err(format!("holds `{}`, which is not allowed", bad.escape_default()));
        }
    }
    Ok(())
}

fn revision(text: &str) -> Result<(), String> {
    common(text, MAX_REVISION)?;
    segments(text, "#")?;
    if text.contains("..") || text.contains("@{") {
        return Err("holds `..`, which names a range".to_owned());
    }
    if text.ends_with(".lock")
        || text.ends_with('.')
        || text.split('/').any(|part| part.starts_with('.'))
    {
        return Err("is a name that git does not accept".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a shell, git or a file system could misread.
    const HOSTILE: [&str; 22] = [
        "acme/shop;id",
        "acme/$(id)",
        "acme/`id`",
        "acme/shop|id",
        "acme/shop&id",
        "acme/shop>x",
        "../shop",
        "acme/..",
        "acme/../shop",
        "-oProxyCommand=id/x",
        "--upload-pack=id",
        "acme/-x",
        "acme/shop\n",
        "acme/\u{0}shop",
        "acme/sh op",
        "acme/'shop'",
        "acme/\"shop\"",
        "acme\\shop",
        "acme/${HOME}",
        "acme/shop\u{202e}",
        "acme/%2e%2e",
        "acme/*",
    ];

    #[test]
    fn harmless_repositories_pass() {
        for text in [
            "acme/shop",
            "acme/shop_docker",
            "Acme.Inc/shop.git",
            "https://github.com/acme/shop",
            "https://git.example:8443/a/b/c.git",
            "ssh://git@git.example:22/acme/shop.git",
            "ssh://git.example/~user/shop",
            "git@github.com:acme/shop.git",
            "https://git.example/~user/shop",
        ] {
            assert_eq!(repository(text, false), Ok(()), "{text}");
        }
    }

    #[test]
    fn hostile_names_are_refused_as_repository_and_as_revision() {
        for text in HOSTILE {
            for local in [false, true] {
                for place in [
                    "",
                    "https://git.example/",
                    "ssh://git@git.example/",
                    "git@git.example:",
                    "/srv/",
                ] {
                    let text = format!("{place}{text}");
                    assert!(check_repository("deployment_repo", &text, local).is_err(), "{text:?}");
                }
            }
            assert!(check_revision("ref", text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn urls_that_are_no_plain_remote_are_refused() {
        for text in [
            "http://github.com/acme/shop",
            "ext::sh -c id",
            "git://host/x",
            "https://",
            "https://host",
            "https://host/",
            "https://-x/acme",
            "https://user:secret@host/acme",
            "https://token@host/acme",
            "ssh://u:p@host/acme",
            "ssh://-oProxyCommand=id/x",
            "git@host",
            "git@-host:x",
            "git@host:../x",
            "https://host:99999/x",
            "https://host:x/y",
            "acme",
            "a/b/c",
            "",
            "/etc/passwd",
            "file:///etc",
        ] {
            assert!(repository(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn local_paths_pass_only_where_they_are_allowed() {
        for text in ["/srv/git/shop", "file:///srv/git/shop.git", "/tmp/.tmpAb1/shop"] {
            assert_eq!(repository(text, true), Ok(()), "{text}");
            assert!(repository(text, false).is_err(), "{text}");
        }
        for text in ["/srv/../etc", "file://srv/git", "file://", "/", "/srv//git", "/srv/$(id)"] {
            assert!(repository(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn branches_tags_and_commits_pass() {
        for text in [
            "master",
            "v1.2.3",
            "feature/login",
            "release-7",
            "4f2d9a0",
            "user@host",
            "fix#12",
            "a+b",
        ] {
            assert_eq!(revision(text), Ok(()), "{text}");
        }
        for text in [
            "a..b", "/a", "a/", "a//b", ".hidden", "a/.b", "x.lock", "x.", "a@{1}", "a:b", "a^",
            "a~1", "a?",
        ] {
            assert!(revision(text).is_err(), "{text}");
        }
    }
}
