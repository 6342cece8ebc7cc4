//! Where the node of this machine lies, whether it runs or not.

use std::fs;
use std::path::{Path, PathBuf};

use oa_api::local::{self, DEFAULT_LISTEN, NODE_FILE, NodeFile};

use crate::exit::Exit;
use crate::problem::Problem;

/// The data directory and what its node says about itself.
pub(super) struct Place {
    pub(super) data_dir: PathBuf,
    /// What the running node wrote; absent if none runs.
    pub(super) node: Option<NodeFile>,
}

impl Place {
    /// The data directory that a node of this user would have.
    pub(super) fn find() -> Result<Self, Problem> {
        let data_dir = local::data_dir().ok_or_else(|| {
            Problem::new("no data directory is known", "there is no home directory to put it in")
                .next("set OA_DATA_DIR to the directory of the node")
                .exit_with(Exit::Usage)
        })?;
        Ok(Self::at(&data_dir))
    }

    pub(super) fn at(data_dir: &Path) -> Self {
        let file = fs::read(data_dir.join(NODE_FILE)).ok();
        let node = file.and_then(|text| serde_json::from_slice(&text).ok());
        Self { data_dir: data_dir.to_path_buf(), node }
    }

    /// The directory, or the nearest one above it that is there.
    pub(super) fn existing(&self) -> &Path {
        self.data_dir.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"))
    }

    /// `host:port` of the REST API, or where it would be.
    pub(super) fn address(&self) -> &str {
        let url = self.node.as_ref().map(|node| node.url.trim_start_matches("http://"));
        url.map_or(DEFAULT_LISTEN, |url| url.trim_end_matches('/'))
    }
}
