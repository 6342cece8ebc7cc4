//! The admin token: made at the first start, kept in a file that only its owner may read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

/// Name of the file in the data directory.
const FILE_NAME: &str = "admin-token";
/// Shortest token that is accepted from the file.
const SHORTEST: usize = 32;
/// Longest file that is read.
const LONGEST: u64 = 4096;

/// Why there is no admin token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminTokenError {
    /// It cannot be read.
    #[error("failed to read the admin token in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It cannot be written.
    #[error("failed to write the admin token to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// What stands in the file is no token.
    #[error("the admin token in {} {why}: write one of at least {SHORTEST} characters, or delete the file to get a new one", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The system gives no random bytes.
    #[error("failed to get random bytes for the admin token")]
    Random(#[source] rand::rand_core::OsError),
}

/// The digest of the admin token. The token itself is not kept.
pub(crate) struct AdminToken {
    digest: [u8; 32],
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken(..)")
    }
}

impl AdminToken {
    /// Reads the token of `data_dir`, or makes one.
    pub(crate) fn load_or_create(data_dir: &Path) -> Result<Self, AdminTokenError> {
        let path = data_dir.join(FILE_NAME);
        loop {
            match read(&path) {
                Ok(text) => return Self::from_file(&path, &text),
                Err(cause) if cause.kind() == ErrorKind::NotFound => {}
                Err(cause) => return Err(AdminTokenError::Read { path, cause }),
            }
            let token = random_token()?;
            match publish(data_dir, &path, &token) {
                Ok(()) => return Ok(Self::of(&token)),
                // Another process was faster: its token is the one.
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(AdminTokenError::Write { path, cause }),
            }
        }
    }

    fn from_file(path: &Path, text: &str) -> Result<Self, AdminTokenError> {
        let unusable = |why| Err(AdminTokenError::Unusable { path: path.to_owned(), why });
        let token = text.trim();
        if token.len() < SHORTEST {
            return unusable("is too short");
        }
        if !token.chars().all(|c| c.is_ascii_graphic()) {
            return unusable("holds blanks or characters outside ASCII");
        }
        // A looser mode may come from a copy; the file is ours to tighten.
        if let Err(cause) = fs::set_permissions(path, fs::Permissions::from_mode(0o600)) {
            tracing::warn!(path = %path.display(), error = %cause, "the mode of the admin token could not be set to 0600");
        }
        Ok(Self::of(token))
    }

    fn of(token: &str) -> Self {
        Self { digest: Sha256::digest(token).into() }
    }

    /// Whether `candidate` is the token. Takes the same time wherever the two differ.
    pub(crate) fn matches(&self, candidate: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(candidate).into();
        let difference = self.digest.iter().zip(&digest).fold(0_u8, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

fn random_token() -> Result<String, AdminTokenError> {
    let mut bytes = [0_u8; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(AdminTokenError::Random)?;
    // Hex: no form of the header can be mistaken for a part of it.
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes `token` beside `path` and links it into place: the file is there with all of it, or not at all.
fn publish(data_dir: &Path, path: &Path, token: &str) -> io::Result<()> {
    let draft = data_dir.join(format!(".{FILE_NAME}.{}", uuid::Uuid::now_v7()));
    let written = write_draft(&draft, token).and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    written.and(removed)?;
    File::open(data_dir)?.sync_all()
}

fn write_draft(draft: &Path, token: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(token.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(dir: &tempfile::TempDir) -> PathBuf {
        dir.path().join(FILE_NAME)
    }

    #[test]
    fn the_first_start_makes_a_token_that_only_the_owner_reads_and_the_second_reuses_it() {
        let dir = tempfile::tempdir().expect("a directory");
        AdminToken::load_or_create(dir.path()).expect("a new token");
        let written = fs::read_to_string(file_of(&dir)).expect("the file");
        assert_eq!(
            fs::metadata(file_of(&dir)).expect("its mode").permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(written.trim().len(), 64);

        let again = AdminToken::load_or_create(dir.path()).expect("the same token");
        assert!(again.matches(written.trim()));
        assert_eq!(fs::read_to_string(file_of(&dir)).expect("the file"), written);
        assert_eq!(fs::read_dir(dir.path()).expect("the directory").count(), 1, "no draft is left");
    }

    #[test]
    fn a_token_that_differs_anywhere_does_not_match() {
        let token = AdminToken::of("0123456789abcdef0123456789abcdef");
        for other in
            ["", "0123456789abcdef0123456789abcdee", "1123456789abcdef0123456789abcdef", "0123"]
        {
            assert!(!token.matches(other), "{other}");
        }
    }

    #[test]
    fn a_file_without_a_usable_token_is_refused_with_its_path() {
        let dir = tempfile::tempdir().expect("a directory");
        for text in ["", "short", "with a blank in the middle of forty characters"] {
            fs::write(file_of(&dir), text).expect("the file");
            let error = AdminToken::load_or_create(dir.path()).expect_err(text);
            assert!(error.to_string().contains("admin-token"), "{error}");
        }
    }

    #[test]
    fn a_loose_mode_is_tightened() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(file_of(&dir), "0123456789abcdef0123456789abcdef").expect("the file");
        fs::set_permissions(file_of(&dir), fs::Permissions::from_mode(0o644))
            .expect("a loose mode");
        AdminToken::load_or_create(dir.path()).expect("the token");
        assert_eq!(
            fs::metadata(file_of(&dir)).expect("its mode").permissions().mode() & 0o777,
            0o600
        );
    }
}
