//! The engines that a node can reach, by cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use oa_protocol::EtcdToken;

use crate::engine::Engine;

/// Finds the engine of a cluster. Cheap to clone.
#[derive(Clone, Default)]
pub struct Engines {
    by_token: Arc<BTreeMap<EtcdToken, Arc<dyn Engine>>>,
}

impl Engines {
    /// The engines that the configuration names.
    pub fn new(engines: impl IntoIterator<Item = (EtcdToken, Arc<dyn Engine>)>) -> Self {
        Self { by_token: Arc::new(engines.into_iter().collect()) }
    }

    /// The engine of a cluster; `None` if this node was not told of it.
    #[must_use]
    pub fn get(&self, token: &EtcdToken) -> Option<Arc<dyn Engine>> {
        self.by_token.get(token).cloned()
    }

    /// The clusters that this node can reach, in order.
    pub fn tokens(&self) -> impl Iterator<Item = &EtcdToken> {
        self.by_token.keys()
    }
}

impl fmt::Debug for Engines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_token.keys()).finish()
    }
}
