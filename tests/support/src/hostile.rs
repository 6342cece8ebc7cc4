//! Texts that someone sends who means harm: seeded, so that a failure can be repeated.
//!
//! Each is a harmless name with something put into it, in front of it or behind it: what a shell, git, ssh, a file system, a
//! template, a terminal, a formatter or a parser could take for more than a name.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// How many texts are tried, unless `OA_TEST_HOSTILE_STRINGS` says otherwise.
#[must_use]
pub fn count(default: usize) -> usize {
    std::env::var("OA_TEST_HOSTILE_STRINGS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// What the texts begin from.
const NAMES: [&str; 26] = [
    "",
    "main",
    "release/1.2",
    "refs/heads/main",
    "v1.2.3",
    "0123456789abcdef0123456789abcdef01234567",
    "org/name",
    "https://git.example/org/name.git",
    "ssh://git@git.example:22/org/name",
    "git@git.example:org/name.git",
    "/srv/git/name.git",
    "file:///srv/git/name.git",
    "local",
    "app@.service",
    "app@0.service",
    "app.service",
    "[Service]\nExecStart=/bin/app",
    "{\"token\": \"local\"}",
    "/health",
    "2s",
    "config",
    "deploy",
    "http://127.0.0.1:1/x",
    "<%= commit_hash %>",
    "{{ dst_port }}",
    "Tue, 23 Jun 2015 19:39:11 UTC",
];

/// What is put into them; `CANARY` becomes a program that leaves a mark when it runs.
const PARTS: [&str; 92] = [
    "$(CANARY)",
    "`CANARY`",
    ";CANARY",
    ";CANARY;",
    "|CANARY",
    "||CANARY",
    "&CANARY",
    "&&CANARY",
    "\nCANARY\n",
    "\r\nCANARY",
    ">CANARY",
    "<CANARY",
    "$CANARY",
    "${IFS}CANARY",
    "'$(CANARY)'",
    "\"$(CANARY)\"",
    "';CANARY;'",
    "\";CANARY;\"",
    "!CANARY",
    "#{CANARY}",
    "%{CANARY}",
    "--upload-pack=CANARY",
    "--receive-pack=CANARY",
    "--exec=CANARY",
    "-u CANARY",
    "-uCANARY",
    "-oProxyCommand=CANARY",
    "-c core.sshCommand=CANARY",
    "--config=x=CANARY",
    "--output=CANARY",
    "-",
    "--",
    "-x",
    "ext::CANARY",
    "ext::sh -c CANARY",
    "fd::17",
    "ext::CANARY% x",
    "file://CANARY",
    "transport::x",
    "javascript:CANARY",
    "data:,CANARY",
    "../",
    "../../../../etc/passwd",
    "..\\",
    "/etc/passwd",
    "/proc/self/environ",
    "/dev/stdin",
    "~root",
    "~/.ssh/id_rsa",
    ".git",
    ".git/config",
    "%2e%2e%2f",
    "%00",
    "%0a",
    "%s%n",
    "%x%x%x",
    "{0}",
    "{}",
    "\0",
    "\u{1}",
    "\u{7f}",
    "\u{1b}[2J",
    "\u{1b}]0;CANARY\u{7}",
    "\u{8}\u{8}",
    "\t",
    "\u{b}",
    "\r",
    "\u{85}",
    "\u{a0}",
    "\u{ad}",
    "\u{200b}",
    "\u{200d}",
    "\u{202e}",
    "\u{2028}",
    "\u{2066}",
    "\u{feff}",
    "\u{ff0f}",
    "\u{ff0d}\u{ff0d}exec",
    "\u{2024}\u{2024}/",
    "e\u{301}",
    "\u{130}",
    "\u{1f4a9}",
    "\u{10ffff}",
    "<%= System.cmd(\"CANARY\") %>",
    "<% CANARY %>",
    "{{ CANARY }}",
    "{{7*7}}",
    "' OR '1'='1",
    "'); DROP TABLE workflows;--",
    "@{-1}",
    "^{/x}",
    ":/x",
];

/// Hostile texts, one after another.
#[derive(Debug)]
pub struct HostileStrings {
    random: StdRng,
    canary: String,
    left: usize,
}

impl HostileStrings {
    /// `count` texts that follow from `seed`; where a program can be named, they name `canary`.
    #[must_use]
    pub fn new(seed: u64, count: usize, canary: &str) -> Self {
        Self { random: StdRng::seed_from_u64(seed), canary: canary.to_owned(), left: count }
    }

    fn pick(&mut self, texts: &[&'static str]) -> &'static str {
        texts.choose(&mut self.random).copied().unwrap_or_default()
    }

    /// A place of `text` between two characters.
    fn place(&mut self, text: &str) -> usize {
        let at = self.random.random_range(0..=text.len());
        (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
    }

    fn worsen(&mut self, text: &mut String) {
        match self.random.random_range(0..200) {
            0..60 => text.insert_str(0, self.pick(&PARTS)),
            60..110 => text.push_str(self.pick(&PARTS)),
            110..160 => {
                let at = self.place(text);
                text.insert_str(at, self.pick(&PARTS));
            }
            160..175 => {
                // Any character at all.
                let at = self.place(text);
                text.insert(at, self.random.random());
            }
            175..188 => {
                let at = self.place(text);
                text.truncate(at);
            }
            188..198 => {
                let times = self.random.random_range(2..6);
                *text = text.repeat(times);
            }
            _ => text.push_str(&self.pick(&PARTS).repeat(self.random.random_range(20..300))),
        }
    }
}

impl Iterator for HostileStrings {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.left = self.left.checked_sub(1)?;
        let mut text = self.pick(&NAMES).to_owned();
        for _ in 0..self.random.random_range(1..4) {
            self.worsen(&mut text);
        }
        Some(text.replace("CANARY", &self.canary))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_texts_and_hardly_two_are_alike() {
        let texts: Vec<String> = HostileStrings::new(7, 10_000, "canary").collect();
        assert!(HostileStrings::new(7, 10_000, "canary").eq(texts.iter().cloned()));
        assert!(texts.iter().collect::<HashSet<_>>().len() > 8_500, "too many are alike");
        let with = |wanted: &dyn Fn(&str) -> bool| texts.iter().filter(|text| wanted(text)).count();
        for (what, number) in [
            ("a program", with(&|text| text.contains("canary"))),
            ("a control character", with(&|text| text.chars().any(char::is_control))),
            ("a leading dash", with(&|text| text.starts_with('-'))),
            ("a path that leads up", with(&|text| text.contains(".."))),
            ("more than ASCII", with(&|text| !text.is_ascii())),
            ("great length", 10 * with(&|text| 1_000 < text.len())),
        ] {
            assert!(300 < number, "only {number} of 10,000 have {what}");
        }
    }
}
