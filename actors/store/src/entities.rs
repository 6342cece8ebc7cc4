//! The rows that this release works with, as sea-orm sees them.
//!
//! An entity stands here once something uses it; the tables themselves are all made by the migration.

// The derives make their types `pub`; this module is not.
#![allow(unreachable_pub)]

macro_rules! entity {
    ($module:ident, $table:literal, { $($(#[$attribute:meta])* $field:ident: $kind:ty,)* }) => {
        pub(crate) mod $module {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                $($(#[$attribute])* pub $field: $kind,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

entity! { workflows, "workflows", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: String,
    product_id: Option<i64>,
    deployment_repo: Option<String>,
    deployment_repo_git_ref: Option<String>,
    source_repo: Option<String>,
    source_repo_git_ref: Option<String>,
    source_commit_hash: Option<String>,
    milestones: Option<String>,
    scheduled_start_time_ms: Option<i64>,
    execute_options: Option<String>,
    state: String,
    version: i64,
    shard: i64,
    on_failure: String,
    current_seq: Option<i64>,
    waiting_for: Option<String>,
    waits_for_target: Option<String>,
    waiting_since_ms: Option<i64>,
    failure: Option<String>,
    cancel_by: Option<String>,
    created_by: String,
    started_at_ms: Option<i64>,
    finished_at_ms: Option<i64>,
    inserted_at_ms: i64,
    updated_at_ms: i64,
}}

entity! { workflow_steps, "workflow_steps", {
    #[sea_orm(primary_key, auto_increment = false)]
    workflow_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    seq: i64,
    milestone: String,
    state: String,
    effect_key: String,
    output: Option<String>,
    do_attempts: i64,
    undo_attempts: i64,
    started_at_ms: Option<i64>,
    finished_at_ms: Option<i64>,
    waiting_for: Option<String>,
}}

entity! { step_attempts, "step_attempts", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: String,
    workflow_id: String,
    seq: i64,
    direction: String,
    attempt_no: i64,
    epoch: i64,
    state: String,
    address: String,
    worker: Option<String>,
    result: Option<String>,
    created_at_ms: i64,
    accepted_at_ms: Option<i64>,
    finished_at_ms: Option<i64>,
}}

entity! { workflow_events, "workflow_events", {
    #[sea_orm(primary_key, auto_increment = false)]
    workflow_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    version: i64,
    at_ms: i64,
    epoch: i64,
    actor: String,
    kind: String,
    milestone: Option<String>,
    message: String,
    data: String,
}}

entity! { workflow_timers, "workflow_timers", {
    #[sea_orm(primary_key, auto_increment = false)]
    workflow_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    kind: String,
    fire_at_ms: i64,
}}

entity! { target_claims, "target_claims", {
    #[sea_orm(primary_key, auto_increment = false)]
    target: String,
    #[sea_orm(primary_key, auto_increment = false)]
    generation: i64,
    workflow_id: String,
    claimed_at_ms: i64,
    released_at_ms: Option<i64>,
}}

entity! { etcd_clusters, "etcd_clusters", {
    #[sea_orm(primary_key)]
    id: i64,
    etcd_token: String,
    name: Option<String>,
    hosting_provider_id: Option<i64>,
    allow_docker_builds: Option<bool>,
    messaging_exchange_id: Option<i64>,
    inserted_at_ms: i64,
    updated_at_ms: i64,
}}

entity! { etcd_cluster_ports, "etcd_cluster_ports", {
    #[sea_orm(primary_key)]
    id: i64,
    etcd_cluster_id: i64,
    product_component_id: Option<i64>,
    port: i64,
    unit_name: Option<String>,
    workflow_id: Option<String>,
    inserted_at_ms: i64,
    updated_at_ms: i64,
}}

entity! { system_events, "system_events", {
    #[sea_orm(primary_key)]
    id: i64,
    #[sea_orm(column_name = "type")]
    kind: String,
    severity: String,
    message: Option<String>,
    data: Option<String>,
    dismissed_at_ms: Option<i64>,
    assigned_at_ms: Option<i64>,
    dismissed_by_id: Option<i64>,
    assignee_id: Option<i64>,
    assigned_by_id: Option<i64>,
    dismissed_reason: Option<String>,
    inserted_at_ms: i64,
    updated_at_ms: i64,
}}

entity! { modules, "messaging_exchange_modules", {
    #[sea_orm(primary_key)]
    id: i64,
    messaging_exchange_id: Option<i64>,
    hostname: String,
    #[sea_orm(column_name = "type")]
    kind: String,
    status: String,
    workload: String,
    source_repo: Option<String>,
    source_repo_git_ref: Option<String>,
    deployment_repo: Option<String>,
    deployment_repo_git_ref: Option<String>,
    inserted_at_ms: i64,
    updated_at_ms: i64,
}}

entity! { users, "users", {
    #[sea_orm(primary_key)]
    id: i64,
    first_name: String,
    last_name: String,
    email: String,
    inserted_at_ms: i64,
    updated_at_ms: i64,
}}
