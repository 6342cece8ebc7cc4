//! What keeps parts of the node from doing their work.
//!
//! The Manager looks at its own database and transport. What else runs on the node (journals of workers, the embedded
//! cluster) is known to whoever puts the node together, who adds a look at each.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use oa_store::StorageError;
use serde::Serialize;

/// Something that keeps a part of the node from doing its work. It says what to do and ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// The part, such as `database`.
    pub part: String,
    /// Stable name of what is wrong, such as `storage_full`.
    pub code: String,
    /// What is wrong, with path and figures.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Trouble {
    /// A database whose place does not take writes.
    #[must_use]
    pub fn of_storage(part: impl Into<String>, error: &StorageError) -> Self {
        Self {
            part: part.into(),
            code: error.kind().code().to_owned(),
            message: error.to_string(),
            hint: error.hint(),
        }
    }

    /// What everybody may hear, without a path.
    pub(crate) fn in_short(&self) -> String {
        let what = match self.code.as_str() {
            "storage_full" => "no space is left",
            "storage_read_only" => "its storage is read-only",
            "database_locked" => "another program locks its file",
            _ => "its storage fails",
        };
        format!("{}: {what}", self.part)
    }
}

/// Looks at one part.
type Look = Box<dyn Fn() -> Option<Trouble> + Send + Sync>;

/// The looks at the parts of a node. Cheap to clone.
#[derive(Clone, Default)]
pub struct Health {
    looks: Arc<RwLock<Vec<Look>>>,
}

impl Health {
    /// Adds a look at a part. It is made for every probe and must not block.
    pub fn watch(&self, look: impl Fn() -> Option<Trouble> + Send + Sync + 'static) {
        self.looks.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(look));
    }

    /// What is wrong now.
    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        let looks = self.looks.read().unwrap_or_else(PoisonError::into_inner);
        looks.iter().filter_map(|look| look()).collect()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Health")
    }
}
