//! Specifiers: `%n` and its kin.
//!
//! # Source
//!
//! systemd.unit(5), "Specifiers".

use std::fs;

use oa_fleet::UnitName;

use super::Host;

/// What specifiers stand for in one unit on one host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Specifiers<'a> {
    pub(crate) unit: &'a UnitName,
    pub(crate) host: &'a Host,
}

/// Those that are known, in the order of [`Specifiers::one`].
const KNOWN: &str = "%n %N %p %P %i %I %j %J %f %u %U %g %G %h %s %H %l %m %b %v %a %o %w %W %B %t %S %C %L %E %T %V %%";

impl Specifiers<'_> {
    /// Replaces the specifiers in `text`; `Err` says which one this host does not know.
    pub(crate) fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                expanded.push(c);
                continue;
            }
            match rest.next() {
                Some('%') => expanded.push('%'),
                Some(letter) => expanded.push_str(&self.one(letter)?.ok_or_else(|| {
                    format!("the specifier `%{letter}` is not known here; there are {KNOWN}")
                })?),
                None => return Err("a lone `%` at the end; write `%%` for the sign itself".into()),
            }
        }
        Ok(expanded)
    }

    fn one(&self, letter: char) -> Result<Option<String>, String> {
        let name = self.unit;
        let (prefix, instance) = (name.prefix(), name.instance().unwrap_or_default());
        let last = prefix.rsplit('-').next().unwrap_or_default();
        let manager = &self.host.manager;
        Ok(Some(match letter {
            'n' => name.to_string(),
            'N' => name.stem().to_owned(),
            'p' => prefix.to_owned(),
            'P' => unescape(prefix)?,
            'i' => instance.to_owned(),
            'I' => unescape(instance)?,
            'j' => last.to_owned(),
            'J' => unescape(last)?,
            'f' => format!("/{}", unescape(if instance.is_empty() { prefix } else { instance })?),
            'u' => manager.name.clone(),
            'U' => manager.uid.to_string(),
            'g' => manager.group_name(),
            'G' => manager.gid.to_string(),
            'h' => manager.home.clone(),
            's' => manager.shell.clone(),
            'H' => self.host.name.clone(),
            'l' => self.host.name.split('.').next().unwrap_or_default().to_owned(),
            'm' => self.host.machine_id.clone(),
            'b' => line_of("/proc/sys/kernel/random/boot_id").replace('-', ""),
            'v' => line_of("/proc/sys/kernel/osrelease"),
            'a' => architecture().to_owned(),
            'o' => os_release("ID"),
            'w' => os_release("VERSION_ID"),
            'W' => os_release("VARIANT_ID"),
            'B' => os_release("BUILD_ID"),
            't' => self.directory("/run", "XDG_RUNTIME_DIR", &format!("/run/user/{}", manager.uid)),
            'S' => self.home_directory("/var/lib", ".local/state"),
            'C' => self.home_directory("/var/cache", ".cache"),
            'L' => self.home_directory("/var/log", ".local/state/log"),
            'E' => self.home_directory("/etc", ".config"),
            'T' => "/tmp".to_owned(),
            'V' => "/var/tmp".to_owned(),
            _ => return Ok(None),
        }))
    }

    fn home_directory(&self, of_system: &str, of_user: &str) -> String {
        let own = format!("{}/{of_user}", self.host.manager.home);
        self.directory(of_system, "", &own)
    }

    /// The directory of the system, or where the host is not root that of its user.
    fn directory(&self, of_system: &str, variable: &str, of_user: &str) -> String {
        if self.host.is_root {
            return of_system.to_owned();
        }
        let told = std::env::var(variable).ok().filter(|path| path.starts_with('/'));
        told.unwrap_or_else(|| of_user.to_owned())
    }
}

/// `a-b\x2dc` is `a/b-c`.
fn unescape(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '-' => bytes.push(b'/'),
            '\\' => {
                let code = rest.strip_prefix('x').and_then(|rest| rest.get(..2));
                let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
                let code = code.filter(|code| *code > 0);
                bytes.push(code.ok_or_else(|| {
                    format!("`{text}` cannot be unescaped: a `\\` there is followed by `x` and two digits")
                })?);
                rest = &rest[3..];
            }
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    String::from_utf8(bytes).map_err(|_| format!("`{text}` unescaped is no UTF-8 text"))
}

/// The name that systemd has for this architecture.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x86-64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn line_of(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn os_release(key: &str) -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::testing::host;
    use super::*;

    fn expand(unit: &str, text: &str, is_root: bool) -> Result<String, String> {
        let unit = UnitName::new(unit).expect("a valid name");
        Specifiers { unit: &unit, host: &host(is_root) }.expand(text)
    }

    #[test]
    fn each_specifier_stands_for_what_systemd_says() {
        let cases = [
            ("app@3.service", "%n %N %p %i %H 5%%", "app@3.service app@3 app 3 h1.example 5%"),
            ("a-b\\x2dc@x-y.service", "%P %I %j %J %f", "a/b-c x/y b\\x2dc b-c /x/y"),
            ("app.service", "[%i] [%I] %f %l", "[] [] /app h1"),
            (
                "app.service",
                "%u %U %h %s %m",
                "root 0 /root /bin/bash 0123456789abcdef0123456789abcdef",
            ),
            (
                "app.service",
                "%t %S %C %L %E %T %V",
                "/run /var/lib /var/cache /var/log /etc /tmp /var/tmp",
            ),
        ];
        for (unit, text, expected) in cases {
            assert_eq!(expand(unit, text, true).expect(text), expected);
        }
        assert_eq!(expand("a.service", "%b", true).expect("known").len(), 32);
        assert_eq!(expand("a.service", "%S", false).expect("known"), "/home/me/.local/state");
    }

    #[test]
    fn what_is_no_specifier_is_named() {
        assert!(expand("a.service", "%z", true).expect_err("unknown").contains("%z"));
        assert!(expand("a.service", "50%", true).is_err());
    }

    #[test]
    fn every_specifier_that_is_offered_is_known() {
        for specifier in KNOWN.split(' ') {
            assert!(expand("a.service", specifier, true).is_ok(), "{specifier}");
        }
    }
}
