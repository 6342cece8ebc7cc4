//! `oa tree`: the supervised actors of the node.

use std::time::Duration;

use oa_api::TreeNode;

use super::{Session, failed_to};
use crate::exit::Exit;
use crate::output::{self, Format, duration, printable};
use crate::problem::Problem;

pub(super) async fn run(session: &Session) -> Result<Exit, Problem> {
    let failed = || failed_to("the tree cannot be shown");
    match session.format {
        Format::Json => output::print_json(&session.client.tree_value().await.map_err(failed())?)?,
        Format::Table => {
            output::print_text(&drawing(&session.client.tree().await.map_err(failed())?))?
        }
    }
    Ok(Exit::Ok)
}

fn drawing(root: &TreeNode) -> String {
    let mut text = format!("{}\n", label(root));
    draw(&root.children, "", &mut text);
    text
}

fn draw(nodes: &[TreeNode], indent: &str, text: &mut String) {
    for (index, node) in nodes.iter().enumerate() {
        let is_last = index + 1 == nodes.len();
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        text.push_str(&format!("{indent}{branch}{}\n", label(node)));
        draw(&node.children, &format!("{indent}{below}"), text);
    }
}

/// `name (kind)  state`, and what is worth knowing.
fn label(node: &TreeNode) -> String {
    let name = node.path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(&node.path);
    let mut text = printable(name);
    if !node.kind.is_empty() && node.kind != name {
        text.push_str(&format!(" ({})", printable(&node.kind)));
    }
    text.push_str(&format!("  {}", printable(&node.state).replace('_', " ")));
    if node.restarts > 0 {
        text.push_str(&format!("  {} restarts", node.restarts));
    }
    if node.depth > 0 {
        text.push_str(&format!("  {}/{} waiting", node.depth, node.capacity));
    }
    if let Some(message) = &node.message {
        let age = node.age_ms.map(|ms| format!(" for {}", duration(Duration::from_millis(ms))));
        text.push_str(&format!("  at {}{}", printable(message), age.unwrap_or_default()));
    }
    if let Some(failure) = &node.last_failure {
        text.push_str(&format!("  failed last: {}", printable(failure)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_shows_who_is_below_whom_and_what_is_unusual() {
        let node = |path: &str, children| TreeNode {
            path: path.into(),
            kind: path.rsplit('/').next().unwrap_or_default().into(),
            state: "running".into(),
            children,
            ..TreeNode::default()
        };
        let busy = TreeNode {
            restarts: 2,
            depth: 3,
            capacity: 8,
            message: Some("Build".into()),
            age_ms: Some(1500),
            ..node("/a/c", vec![])
        };
        let root =
            node("/", vec![node("/a", vec![node("/a/b", vec![]), busy]), node("/d", vec![])]);
        assert_eq!(
            drawing(&root),
            "/  running\n├─ a  running\n│  ├─ b  running\n│  └─ c  running  2 restarts  3/8 waiting  \
             at Build for 1.5 s\n└─ d  running\n"
        );
    }
}
