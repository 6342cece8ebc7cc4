//! Finds users and groups in the files of the system.

use std::fs;

/// A user whom a unit runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: String,
    pub(crate) shell: String,
}

impl User {
    /// The name of its main group, or its number if it has none.
    pub(super) fn group_name(&self) -> String {
        let text = fs::read_to_string("/etc/group").unwrap_or_default();
        let found = text.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == self.gid.to_string()).then(|| name.to_owned())
        });
        found.unwrap_or_else(|| self.gid.to_string())
    }
}

/// Finds a user by name or number in `/etc/passwd`.
pub(crate) fn find_user(wanted: &str) -> Result<User, String> {
    let text = fs::read_to_string("/etc/passwd")
        .map_err(|why| format!("/etc/passwd cannot be read: {why}"))?;
    find_in_passwd(&text, wanted)
        .ok_or_else(|| format!("there is no user `{wanted}` on this machine"))
}

/// Whom this process runs as; one whom the system does not know has its number as a name.
pub(crate) fn manager() -> User {
    let uid = rustix::process::geteuid().as_raw();
    find_user(&uid.to_string()).unwrap_or_else(|_| User {
        name: uid.to_string(),
        uid,
        gid: rustix::process::getegid().as_raw(),
        home: "/".into(),
        shell: "/usr/sbin/nologin".into(),
    })
}

/// The groups that list `user` as a member, in `/etc/group`.
pub(crate) fn groups_of(user: &User) -> Vec<u32> {
    let text = fs::read_to_string("/etc/group").unwrap_or_default();
    groups_in(&text, user)
}

fn groups_in(text: &str, user: &User) -> Vec<u32> {
    let mut groups = vec![user.gid];
    for line in text.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let [_, _, gid, members] = fields.as_slice()
            && members.split(',').any(|member| member == user.name)
            && let Ok(gid) = gid.parse()
            && !groups.contains(&gid)
        {
            groups.push(gid);
        }
    }
    groups
}

/// Finds a group by name or number in `/etc/group`.
pub(crate) fn find_group(wanted: &str) -> Result<u32, String> {
    let text = fs::read_to_string("/etc/group")
        .map_err(|why| format!("/etc/group cannot be read: {why}"))?;
    let found = text
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.len() >= 3 && (fields[0] == wanted || fields[2] == wanted));
    found
        .and_then(|fields| fields[2].parse().ok())
        .ok_or_else(|| format!("there is no group `{wanted}` on this machine"))
}

fn find_in_passwd(text: &str, wanted: &str) -> Option<User> {
    let mut entries = text
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .filter(|fields| fields.len() >= 7);
    let fields = entries.find(|fields| fields[0] == wanted || fields[2] == wanted)?;
    Some(User {
        name: fields[0].to_owned(),
        uid: fields[2].parse().ok()?,
        gid: fields[3].parse().ok()?,
        home: fields[5].to_owned(),
        shell: fields[6].to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let text =
            "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:n:/none:/usr/sbin/nologin\n";
        let nobody = find_in_passwd(text, "nobody").expect("nobody is there");
        assert_eq!((nobody.uid, nobody.gid), (65534, 65533));
        assert_eq!(find_in_passwd(text, "65534"), Some(nobody));
        assert_eq!(find_in_passwd(text, "somebody"), None);
    }

    #[test]
    fn a_user_is_in_its_own_group_and_in_those_that_list_it() {
        let user =
            User { name: "app".into(), uid: 7, gid: 70, home: "/".into(), shell: String::new() };
        let text = "docker:x:99:ops,app\napp:x:70:\nother:x:5:apple\n";
        assert_eq!(groups_in(text, &user), [70, 99]);
    }
}
