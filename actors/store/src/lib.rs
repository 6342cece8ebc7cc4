//! Entities, migrations, repositories and the workflow journal.
