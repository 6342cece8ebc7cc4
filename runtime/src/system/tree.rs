//! The tree as data and as text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an actor does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    /// `init` runs.
    Starting,
    /// It handles messages.
    Running,
    /// It ends, or is brought down with its siblings.
    Stopping,
    /// It is down and waits for its supervisor.
    Down,
    /// It failed and rests before the next start.
    BackingOff,
    /// It has ended.
    Stopped,
}

impl ActorState {
    pub(crate) fn from_u8(state: u8) -> Self {
        let all = [Self::Starting, Self::Running, Self::Stopping, Self::Down, Self::BackingOff];
        all.into_iter().find(|known| *known as u8 == state).unwrap_or(Self::Stopped)
    }
}

/// One actor and those below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeNode {
    /// Path from the root.
    pub path: String,
    /// Kind of the actor.
    pub kind: String,
    /// What it does.
    pub state: ActorState,
    /// How often it was started again.
    pub restarts: u64,
    /// Messages that wait.
    pub depth: usize,
    /// Messages that may wait.
    pub capacity: usize,
    /// Type of the message in hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// For how long it has been in hand, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Why it failed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// Its children, in the order of their start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<TreeNode>,
}

impl TreeNode {
    /// The node with this path, here or below.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&TreeNode> {
        if self.path == path {
            Some(self)
        } else {
            self.children.iter().find_map(|child| child.find(path))
        }
    }

    /// How many actors there are, here and below.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.children.iter().map(TreeNode::count).sum::<usize>()
    }

    fn draw(&self, f: &mut fmt::Formatter<'_>, first: &str, rest: &str) -> fmt::Result {
        let name = self.path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("/");
        write!(f, "{first}{name}")?;
        if name != self.kind {
            write!(f, " ({})", self.kind)?;
        }
        let state = match self.state {
            ActorState::Starting => "starting",
            ActorState::Running => "running",
            ActorState::Stopping => "stopping",
            ActorState::Down => "down",
            ActorState::BackingOff => "backing off",
            ActorState::Stopped => "stopped",
        };
        write!(f, "  {state}  {}/{}", self.depth, self.capacity)?;
        if self.restarts > 0 {
            write!(f, "  restarts {}", self.restarts)?;
        }
        if let (Some(message), Some(age_ms)) = (&self.message, self.age_ms) {
            write!(f, "  in hand {message} for {age_ms} ms")?;
        }
        if let Some(failure) = &self.last_failure {
            write!(f, "  last failure: {failure}")?;
        }
        writeln!(f)?;
        for (at, child) in self.children.iter().enumerate() {
            let last = at + 1 == self.children.len();
            let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            child.draw(f, &format!("{rest}{branch}"), &format!("{rest}{below}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for TreeNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.draw(f, "", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(path: &str, children: Vec<TreeNode>) -> TreeNode {
        TreeNode {
            path: path.to_owned(),
            kind: "worker".to_owned(),
            state: ActorState::Running,
            restarts: 0,
            depth: 1,
            capacity: 8,
            message: None,
            age_ms: None,
            last_failure: None,
            children,
        }
    }

    #[test]
    fn the_tree_is_drawn_with_its_branches() {
        let tree = node("/", vec![node("/a", vec![node("/a/b", vec![])]), node("/c", vec![])]);
        let drawn = "/ (worker)  running  1/8\n\
                     ├─ a (worker)  running  1/8\n\
                     │  └─ b (worker)  running  1/8\n\
                     └─ c (worker)  running  1/8\n";
        assert_eq!(tree.to_string(), drawn);
        assert_eq!(tree.count(), 4);
        assert!(tree.find("/a/b").is_some());
    }
}
