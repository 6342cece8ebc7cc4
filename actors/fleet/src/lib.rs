//! Fleet API v1: types, client, unit files, the engine trait.
