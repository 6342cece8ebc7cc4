//! Tables of the workflow journal.
//!
//! The constraints turn a slip in the program into an error that a test sees: two live attempts of one workflow,
//! two open claims on one target, an end without a time, two writers of one version, two steps with one effect.

use super::table::TableSpec;

/// Every table, after those that it refers to.
pub(super) const TABLES: &[TableSpec] = &[
    TableSpec {
        name: "shard_lease",
        key: Some(&["shard"]),
        columns: "shard int!, owner text, epoch int!, beat int!",
        checks: &[],
    },
    TableSpec {
        name: "workflows",
        key: Some(&["id"]),
        columns: "id text!, product_id products, deployment_repo text, deployment_repo_git_ref text, source_repo text, \
                  source_repo_git_ref text, source_commit_hash text, milestones text, scheduled_start_time_ms int, \
                  execute_options text, state text!, version int!, shard shard_lease!, on_failure text!, \
                  current_seq int, waiting_for text, waits_for_target text, waiting_since_ms int, failure text, \
                  cancel_by text, created_by text!, started_at_ms int, finished_at_ms int, inserted_at_ms int!, \
                  updated_at_ms int!",
        checks: &[
            "state IN ('created', 'scheduled', 'running', 'waiting', 'undoing', 'parked', 'succeeded', 'failed', \
             'rolled_back', 'cancelled')",
            "on_failure IN ('halt', 'rollback')",
            "(finished_at_ms IS NOT NULL) = (state IN ('succeeded', 'failed', 'rolled_back', 'cancelled'))",
        ],
    },
    TableSpec {
        name: "workflow_steps",
        key: Some(&["workflow_id", "seq"]),
        columns: "workflow_id ^workflows!, seq int!, milestone text!, state text!, effect_key text!, output text, \
                  do_attempts int!, undo_attempts int!, started_at_ms int, finished_at_ms int, waiting_for text",
        checks: &[
            "state IN ('pending', 'doing', 'done', 'failed', 'maybe_done', 'undoing', 'undone', 'undo_failed', \
                   'skipped')",
        ],
    },
    TableSpec {
        name: "step_attempts",
        key: Some(&["id"]),
        columns: "id text!, workflow_id ^workflows!, seq int!, direction text!, attempt_no int!, epoch int!, state text!, \
                  address text!, worker text, result text, created_at_ms int!, accepted_at_ms int, finished_at_ms int",
        checks: &[
            "direction IN ('do', 'undo')",
            "state IN ('queued', 'accepted', 'succeeded', 'failed', 'lost', 'superseded')",
        ],
    },
    TableSpec {
        name: "workflow_events",
        key: Some(&["workflow_id", "version"]),
        columns: "workflow_id ^workflows!, version int!, at_ms int!, epoch int!, actor text!, kind text!, milestone text, \
                  message text!, data text!",
        checks: &[],
    },
    TableSpec {
        name: "workflow_timers",
        key: Some(&["workflow_id", "kind"]),
        columns: "workflow_id ^workflows!, kind text!, fire_at_ms int!",
        checks: &[],
    },
    // No reference to workflows: generations rise for ever, also when a workflow is deleted.
    TableSpec {
        name: "target_claims",
        key: Some(&["target", "generation"]),
        columns: "target text!, generation int!, workflow_id text!, claimed_at_ms int!, released_at_ms int",
        checks: &[],
    },
    TableSpec {
        name: "api_idempotency",
        key: Some(&["principal", "key"]),
        columns: "principal text!, key text!, request_hash text!, status int, response text, created_at_ms int!",
        checks: &[],
    },
];

/// Indexes and the constraints that need one.
pub(super) const INDEXES: &[&str] = &[
    "INDEX workflows_inserted ON workflows (inserted_at_ms)",
    "INDEX workflows_deployment_repo ON workflows (deployment_repo, inserted_at_ms)",
    "INDEX workflows_open ON workflows (shard) WHERE finished_at_ms IS NULL",
    "INDEX workflows_waiting ON workflows (waits_for_target) WHERE waits_for_target IS NOT NULL",
    "UNIQUE INDEX workflow_steps_effect ON workflow_steps (effect_key)",
    "UNIQUE INDEX one_live_attempt ON step_attempts (workflow_id) WHERE state IN ('queued', 'accepted')",
    "UNIQUE INDEX step_attempts_no ON step_attempts (workflow_id, seq, direction, attempt_no)",
    "INDEX workflow_timers_due ON workflow_timers (fire_at_ms)",
    "UNIQUE INDEX one_open_claim ON target_claims (target) WHERE released_at_ms IS NULL",
    "INDEX target_claims_open ON target_claims (workflow_id) WHERE released_at_ms IS NULL",
];
