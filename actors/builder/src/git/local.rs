//! Repositories of this machine: who could have prepared them.
//!
//! Git reads the configuration of a local repository that it fetches from, and that configuration can name programs.
//! So the repository must belong to the user of this process or to root, and nobody else may write to it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::GitError;

/// Anyone may write.
const OTHERS_WRITE: u32 = 0o002;
/// Only the owner may rename or delete what lies in the directory.
const STICKY: u32 = 0o1000;

/// What git reads of a repository before it looks at objects; none of it may be a link to elsewhere.
const PARTS: [&str; 9] = [
    "HEAD",
    "commondir",
    "config",
    "info",
    "objects",
    "objects/info",
    "objects/info/alternates",
    "packed-refs",
    "refs",
];
/// Files that make git look into another repository.
const ELSEWHERE: [&str; 2] = ["commondir", "objects/info/alternates"];

/// Checks that `path` is a repository that only this user, or root, can have prepared; gives the path without links,
/// so that what was checked is what is used.
///
/// # Errors
///
/// [`GitError::UnknownRepository`] if nothing is there, [`GitError::Unsafe`] with the reason otherwise.
pub(crate) fn check(path: &Path) -> Result<PathBuf, GitError> {
    let repository = path.display().to_string();
    let refuse = |why: String| Err(GitError::Unsafe { repository: repository.clone(), why });
    let Ok(real) = path.canonicalize() else {
        return Err(GitError::UnknownRepository { repository });
    };
    if !real.is_dir() {
        return refuse("it is not a directory".into());
    }
    // Whoever may rename a directory above can put another repository in this one's place.
    for directory in real.ancestors() {
        let Ok(found) = fs::metadata(directory) else {
            return Err(GitError::UnknownRepository { repository });
        };
        if found.mode() & OTHERS_WRITE != 0 && found.mode() & STICKY == 0 {
            return refuse(format!("everyone may write to {}", directory.display()));
        }
    }
    let parts = PARTS.iter().flat_map(|name| [real.join(name), real.join(".git").join(name)]);
    for part in [real.clone(), real.join(".git")].into_iter().chain(parts) {
        let Ok(found) = fs::symlink_metadata(&part) else { continue };
        if found.is_symlink() {
            return refuse(format!("{} is a symbolic link", part.display()));
        }
        if part.ends_with(".git") && part != real && !found.is_dir() {
            return refuse("its `.git` points elsewhere; name the main repository".into());
        }
        if ELSEWHERE.iter().any(|name| part.ends_with(name)) {
            return refuse(format!("{} makes it use another repository", part.display()));
        }
        let me = rustix::process::geteuid().as_raw();
        if found.uid() != me && found.uid() != 0 {
            return refuse(format!(
                "{} belongs to user {}, the node runs as {me}",
                part.display(),
                found.uid()
            ));
        }
        if found.mode() & OTHERS_WRITE != 0 {
            return refuse(format!("everyone may write to {}", part.display()));
        }
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use oa_test_services::git::TestRepository;

    use super::*;

    #[test]
    fn a_repository_of_this_user_is_safe() {
        let repository = TestRepository::with_files(&[("a", "1")]);
        check(&repository.path()).expect("a bare repository");
        check(&repository.work()).expect("a work tree");
    }

    #[test]
    fn a_repository_that_others_may_write_to_is_refused() {
        let repository = TestRepository::with_files(&[("a", "1")]);
        fs::set_permissions(repository.path(), fs::Permissions::from_mode(0o777))
            .expect("permissions");
        let refusal = check(&repository.path()).expect_err("a writable repository");
        assert!(refusal.to_string().contains("everyone may write"), "{refusal}");
    }

    #[test]
    fn a_repository_of_another_user_is_refused() {
        // Only root can give a directory away; others are told by git's own refusal in the same way.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let repository = TestRepository::with_files(&[("a", "1")]);
        chown(repository.path(), Some(65534), None).expect("root may");
        let refusal = check(&repository.path()).expect_err("a repository of nobody");
        assert!(refusal.to_string().contains("belongs to user 65534"), "{refusal}");
    }

    #[test]
    fn a_git_directory_that_lies_elsewhere_is_refused() {
        let repository = TestRepository::with_files(&[("a", "1")]);
        let elsewhere = tempfile::tempdir().expect("a directory");
        symlink(repository.path(), elsewhere.path().join(".git")).expect("a link");
        assert!(matches!(check(elsewhere.path()), Err(GitError::Unsafe { .. })));
    }

    #[test]
    fn a_repository_that_leads_into_another_is_refused() {
        let change = |change: &dyn Fn(&Path)| {
            let repository = TestRepository::with_files(&[("a", "1")]);
            change(&repository.path());
            check(&repository.path()).expect_err("it leads elsewhere").to_string()
        };
        let alternates = |path: &Path| {
            fs::write(path.join("objects/info/alternates"), "/srv/other/objects\n")
                .expect("a file");
        };
        assert!(change(&alternates).contains("alternates makes it use another repository"));
        let common =
            |path: &Path| fs::write(path.join("commondir"), "/srv/other\n").expect("a file");
        assert!(change(&common).contains("commondir makes it use another repository"));
        let link = |path: &Path| symlink("/etc/passwd", path.join("packed-refs")).expect("a link");
        assert!(change(&link).contains("packed-refs is a symbolic link"));
    }

    #[test]
    fn a_missing_path_is_an_unknown_repository() {
        assert!(matches!(
            check(Path::new("/no/such/place")),
            Err(GitError::UnknownRepository { .. })
        ));
    }
}
