//! Reads what git says when it fails.

use super::error::GitError;
use super::reference::GitRef;
use super::url::GitUrl;

/// Reads git's complaint about a remote repository. `reference` is what was wanted from it.
pub(crate) fn classify(
    command: &'static str,
    stderr: &str,
    url: &GitUrl,
    reference: Option<&GitRef>,
) -> GitError {
    let repository = url.to_string();
    let why = tidy(stderr);
    let says = |texts: &[&str]| texts.iter().any(|text| why.contains(text));
    if says(&[
        "couldn't find remote ref",
        "not our ref",
        "Server does not allow request for unadvertised object",
    ]) {
        return match reference {
            Some(reference) => {
                GitError::UnknownRef { repository, reference: reference.to_string() }
            }
            None => GitError::Empty { repository },
        };
    }
    if says(&["No space left on device", "Disk quota exceeded"]) {
        return GitError::Failed { command, why };
    }
    if says(&[
        "fsck error",
        "did not send all necessary objects",
        "did not receive expected object",
        "bad tree object",
        "bad object",
        "invalid object",
        "pack is corrupted",
        "serious inflate inconsistency",
        "possible repository corruption",
        "bad config",
    ]) {
        return GitError::Malformed { repository, why };
    }
    if says(&[
        "Host key verification failed",
        "Permission denied",
        "Authentication failed",
        "error: 403",
        "error: 401",
    ]) {
        return GitError::AccessDenied { repository, why };
    }
    if says(&["certificate verif", "certificate problem", "SSL certificate"]) {
        return GitError::Untrusted { repository, why };
    }
    if says(&[
        "Could not resolve host",
        "Connection refused",
        "Connection timed out",
        "Connection reset",
        "Connection closed",
        "Failed to connect",
        "Network is unreachable",
        "No route to host",
        "timed out",
        "unexpected disconnect",
        "early EOF",
        "hung up unexpectedly",
        "error: 429",
        "error: 500",
        "error: 502",
        "error: 503",
        "error: 504",
    ]) {
        return GitError::Unreachable { repository, why };
    }
    if says(&[
        "does not appear to be a git repository",
        "not a git repository",
        "epository not found",
        "' not found",
        "could not be found",
        "error: 404",
        "could not read Username",
        "does not exist",
    ]) {
        return GitError::UnknownRepository { repository };
    }
    GitError::Failed { command, why }
}

/// The end of what git said: one line, printable, without credentials and without advice.
pub(crate) fn tidy(stderr: &str) -> String {
    const LONGEST: usize = 600;
    let lines = stderr.lines().map(|line| line.trim().trim_start_matches("remote:").trim());
    let lines: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with("hint:")).collect();
    let text: String = redact(&lines.join("; ")).chars().filter(|c| !is_invisible(*c)).collect();
    let length = text.chars().count();
    match length.checked_sub(LONGEST) {
        None | Some(0) => text,
        Some(surplus) => format!("…{}", text.chars().skip(surplus).collect::<String>()),
    }
}

/// Whether a character changes how the text around it is shown, or shows nothing itself.
fn is_invisible(c: char) -> bool {
    // Marks and overrides of writing direction can make a line read as another one.
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` with the credentials of every URL in it replaced by `***`.
pub(crate) fn redact(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let authority =
            &after[..after.find(['/', '?', '#', ' ', '\'', '"', '\n']).unwrap_or(after.len())];
        // `ssh://git@host` stays readable; the user of any other URL can be a token.
        match authority.rfind('@') {
            Some(end) if authority[..end].contains(':') || !before.ends_with("ssh://") => {
                clean.push_str("***");
                rest = &after[end..];
            }
            _ => rest = after,
        }
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::url::UrlRules;

    fn url() -> GitUrl {
        let rules = UrlRules { default_host: "https://github.com".into(), allow_local: false };
        GitUrl::parse("org/name", &rules).expect("a repository")
    }

    #[test]
    fn credentials_are_cut_out_of_texts() {
        assert_eq!(
            redact("fatal: unable to access 'https://user:secret@host/a.git/': no"),
            "fatal: unable to access 'https://***@host/a.git/': no"
        );
        assert_eq!(redact("https://token@host/a"), "https://***@host/a");
        assert_eq!(
            redact("ssh://git@host/a and https://x:y@z"),
            "ssh://git@host/a and https://***@z"
        );
    }

    #[test]
    fn what_git_says_becomes_a_type() {
        let name = GitRef::parse("nope").expect("a name");
        let kind = |text: &str| classify("fetch", text, &url(), Some(&name));
        assert!(matches!(
            kind("fatal: couldn't find remote ref refs/heads/nope"),
            GitError::UnknownRef { .. }
        ));
        assert!(matches!(
            kind("remote: Repository not found.\nfatal: x"),
            GitError::UnknownRepository { .. }
        ));
        assert!(matches!(
            kind(
                "fatal: could not read Username for 'https://github.com': terminal prompts disabled"
            ),
            GitError::UnknownRepository { .. }
        ));
        assert!(matches!(
            kind("git@host: Permission denied (publickey)."),
            GitError::AccessDenied { .. }
        ));
        assert!(matches!(kind("ssh: Could not resolve hostname x"), GitError::Unreachable { .. }));
        let strange = kind("fatal: \u{1b}[31mstrange\nhint: try harder");
        assert_eq!(strange.to_string(), "`git fetch` failed: fatal: [31mstrange");
        let reversed = kind("fatal: \u{202e}txet\u{200b}");
        assert_eq!(reversed.to_string(), "`git fetch` failed: fatal: txet");
        let refused = kind(
            "error: object 1a: hasDotgit: contains '.git'\nfatal: fsck error in packed object",
        );
        let broken = kind(
            "fatal: empty filename in tree entry\nremote: aborting due to possible repository corruption",
        );
        assert!(matches!(broken, GitError::Malformed { .. }));
        assert!(matches!(refused, GitError::Malformed { .. }) && !refused.is_retryable());
    }

    #[test]
    fn only_what_time_can_cure_is_retryable() {
        let name = GitRef::parse("nope").expect("a name");
        let retryable = |text: &str| classify("fetch", text, &url(), Some(&name)).is_retryable();
        assert!(retryable("fatal: unable to access 'x': Could not resolve host: github.com"));
        assert!(!retryable("fatal: couldn't find remote ref nope"));
        assert!(!retryable("remote: Repository not found."));
        assert!(!retryable(
            "fatal: unable to access 'x': SSL certificate problem: self-signed certificate"
        ));
        assert!(!retryable(
            "fatal: unable to access 'x': server certificate verification failed. CAfile: none"
        ));
    }
}
