//! Reads objects of a fetched repository, through one `git cat-file --batch`.

use std::process::ExitStatus;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

use super::budget::Budget;
use super::checkout::Mirror;
use super::command::Call;
use super::error::GitError;
use super::process::Running;
use super::reference::CommitId;

/// Longest header that git writes before an object.
const HEADER_LIMIT: u64 = 4096;
/// Size that a tree or commit may have.
const META_LIMIT: usize = 4 << 20;
/// Bytes of an object's name in a tree.
const NAME_LENGTH: usize = 20;
const COMMAND: &str = "cat-file";

/// A commit, as far as it is needed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) id: CommitId,
    pub(crate) tree: String,
    /// Seconds since 1970, UTC.
    pub(crate) authored_at: i64,
    /// Seconds since 1970, UTC.
    pub(crate) committed_at: i64,
}

/// The entries of one directory, in git's order.
pub(crate) type Tree = Vec<TreeEntry>;

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeEntry {
    /// Octal digits, such as `100644`.
    pub(crate) mode: String,
    /// Bytes: git demands no encoding.
    pub(crate) name: Vec<u8>,
    pub(crate) object: String,
}

/// A reader of one repository's objects.
#[derive(Debug)]
pub(crate) struct Objects {
    // Killed when dropped.
    running: Running,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    budget: Budget,
}

impl Objects {
    pub(crate) fn open(mirror: &Mirror, budget: Budget) -> Result<Self, GitError> {
        let call = Call::new(COMMAND, mirror.directory()).argument("--batch");
        let mut running = mirror.git().start(&call)?;
        let requests = running.child().stdin.take().expect("stdin is piped");
        let answers = BufReader::new(running.child().stdout.take().expect("stdout is piped"));
        Ok(Self { running, requests, answers, budget })
    }

    /// Reads the commit that `name` leads to; `None` if it leads to none.
    pub(crate) async fn commit(&mut self, name: &str) -> Result<Option<Commit>, GitError> {
        let Some((id, text)) =
            self.read(&format!("{name}^{{commit}}"), "commit", META_LIMIT).await?
        else {
            return Ok(None);
        };
        let bad = |why: &str| GitError::Object { object: name.to_owned(), why: why.to_owned() };
        let text = String::from_utf8_lossy(&text);
        let header = |key: &str| {
            text.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix(key))
        };
        Ok(Some(Commit {
            id: CommitId::parse(&id).map_err(|why| bad(&why.why))?,
            tree: header("tree ").ok_or_else(|| bad("it has no tree"))?.to_owned(),
            authored_at: header("author ")
                .and_then(seconds)
                .ok_or_else(|| bad("its author has no time"))?,
            committed_at: header("committer ")
                .and_then(seconds)
                .ok_or_else(|| bad("its committer has no time"))?,
        }))
    }

    /// Reads a directory.
    pub(crate) async fn tree(&mut self, object: &str) -> Result<Tree, GitError> {
        let missing =
            || GitError::Object { object: object.to_owned(), why: "it is missing".into() };
        let (_, bytes) = self.read(object, "tree", META_LIMIT).await?.ok_or_else(missing)?;
        parse_tree(&bytes).ok_or_else(|| GitError::Object {
            object: object.to_owned(),
            why: "it is no tree".into(),
        })
    }

    /// Reads the content of a file of at most `limit` bytes; `name` is for the message.
    pub(crate) async fn blob(
        &mut self,
        object: &str,
        name: &str,
        limit: usize,
    ) -> Result<Vec<u8>, GitError> {
        let missing =
            || GitError::Object { object: name.to_owned(), why: "its content is missing".into() };
        match self.read(object, "blob", limit).await {
            Ok(found) => Ok(found.ok_or_else(missing)?.1),
            Err(GitError::Object { why, .. }) => {
                Err(GitError::Object { object: name.to_owned(), why })
            }
            Err(other) => Err(other),
        }
    }

    async fn read(
        &mut self,
        name: &str,
        kind: &str,
        limit: usize,
    ) -> Result<Option<(String, Vec<u8>)>, GitError> {
        let budget = self.budget;
        budget.bound(COMMAND, self.exchange(name, kind, limit)).await
    }

    /// After an error the answers are out of step: the reader is not used again.
    async fn exchange(
        &mut self,
        name: &str,
        kind: &str,
        limit: usize,
    ) -> Result<Option<(String, Vec<u8>)>, GitError> {
        let broken = |cause| GitError::Spawn { command: COMMAND, cause };
        self.requests.write_all(format!("{name}\n").as_bytes()).await.map_err(broken)?;
        let mut header = String::new();
        (&mut self.answers).take(HEADER_LIMIT).read_line(&mut header).await.map_err(broken)?;
        if header.is_empty() {
            return Err(GitError::Failed { command: COMMAND, why: self.ended().await });
        }
        // `<name> missing`, or `<object> <kind> <size>`.
        let words: Vec<&str> = header.split_whitespace().collect();
        let &[object, found, size] = words.as_slice() else {
            return Ok(None);
        };
        let bad = |why: String| GitError::Object { object: name.to_owned(), why };
        let size: usize =
            size.parse().map_err(|_| bad(format!("git answered `{}`", header.trim())))?;
        if found != kind {
            return Err(bad(format!("it is a {found}, not a {kind}")));
        }
        if limit < size {
            return Err(bad(format!("it has {size} bytes; {limit} are allowed")));
        }
        let mut content = vec![0; size + 1];
        self.answers.read_exact(&mut content).await.map_err(broken)?;
        content.pop();
        Ok(Some((object.to_owned(), content)))
    }

    async fn ended(&mut self) -> String {
        let status = self.running.child().wait().await.ok();
        format!(
            "it ended with {}",
            status.map_or_else(|| "no status".into(), |status: ExitStatus| status.to_string())
        )
    }
}

/// The time in `Name <mail> 1700000000 +0100`.
fn seconds(line: &str) -> Option<i64> {
    line.rsplit_once('>')?.1.split_whitespace().next()?.parse().ok()
}

/// A tree is a row of `<mode> <name> NUL <20 bytes>`.
fn parse_tree(mut bytes: &[u8]) -> Option<Tree> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ')?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let mode = String::from_utf8(bytes.get(..space)?.to_vec()).ok()?;
        let name = bytes.get(space + 1..end)?.to_vec();
        let object = bytes.get(end + 1..end + 1 + NAME_LENGTH)?;
        entries.push(TreeEntry {
            mode,
            name,
            object: object.iter().map(|byte| format!("{byte:02x}")).collect(),
        });
        bytes = &bytes[end + 1 + NAME_LENGTH..];
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_entry_by_entry() {
        let mut bytes = b"100644 a b\0".to_vec();
        bytes.extend([0xab; 20]);
        bytes.extend(b"40000 c\0");
        bytes.extend([1; 20]);
        let tree = parse_tree(&bytes).expect("a tree");
        assert_eq!((tree[0].mode.as_str(), tree[0].name.as_slice()), ("100644", b"a b".as_slice()));
        assert_eq!(tree[0].object, "ab".repeat(20));
        assert_eq!(tree[1].mode, "40000");
    }

    #[test]
    fn a_broken_tree_is_refused() {
        for bytes in [b"100644".as_slice(), b"100644 a", b"100644 a\0short", b"a\0b c"] {
            assert!(parse_tree(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn times_are_read_behind_any_name() {
        assert_eq!(seconds("A > B <a@b> 1700000000 +0100"), Some(1_700_000_000));
        assert_eq!(seconds("nobody"), None);
    }
}
