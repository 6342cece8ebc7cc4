//! Tables of the platform: what is where, and who may what.

use super::table::{TableSpec, numbered};

/// Every table, after those that it refers to.
pub(super) const TABLES: &[TableSpec] = &[
    numbered("products", "name text!"),
    numbered("product_environments", "product_id products!, name text!"),
    numbered(
        "product_environmental_variables",
        "product_id products!, product_environment_id product_environments, name text!, value text, private bool, \
         value_keyname text",
    ),
    numbered("product_components", "product_id products!, name text!, type text!"),
    numbered(
        "product_component_options",
        "product_component_id product_components!, name text!, value text, type text",
    ),
    numbered("product_deployment_plans", "product_id products!, name text!"),
    numbered(
        "product_deployment_plan_steps",
        "product_deployment_plan_id product_deployment_plans!, on_success_step_id product_deployment_plan_steps, \
         on_failure_step_id product_deployment_plan_steps, type text!",
    ),
    numbered(
        "product_deployment_plan_step_options",
        "product_deployment_plan_step_id product_deployment_plan_steps!, name text!, value text",
    ),
    numbered(
        "product_deployments",
        "product_id products!, product_deployment_plan_id product_deployment_plans!, \
         product_environment_id product_environments, completed bool, duration text, execution_options text, output text",
    ),
    numbered(
        "product_deployment_steps",
        "product_deployment_id product_deployments!, product_deployment_plan_step_id int, \
         product_deployment_plan_step_type text, duration text, successful bool, execution_options text, output text, \
         sequence int",
    ),
    numbered("cloud_providers", "name text!, type text!, configuration text"),
    numbered("messaging_brokers", "name text!, failover_broker_id messaging_brokers"),
    numbered(
        "messaging_broker_connections",
        "messaging_broker_id messaging_brokers!, username text!, password text!, password_keyname text, host text!, \
         virtual_host text!, port int",
    ),
    numbered(
        "messaging_exchanges",
        "name text!, failover_exchange_id messaging_exchanges, parent_exchange_id messaging_exchanges, \
         routing_key_fragment text",
    ),
    numbered(
        "messaging_exchange_brokers",
        "messaging_exchange_id messaging_exchanges!, messaging_broker_id messaging_brokers!",
    ),
    // Without an exchange: a module of a platform that has only one place.
    numbered(
        "messaging_exchange_modules",
        "messaging_exchange_id messaging_exchanges, hostname text!, type text!, status text!, workload text!, \
         source_repo text, source_repo_git_ref text, deployment_repo text, deployment_repo_git_ref text",
    ),
    numbered("messaging_rpc_requests", "status text!, request_body text, response_body text"),
    numbered(
        "etcd_clusters",
        "etcd_token text!, name text, hosting_provider_id cloud_providers, allow_docker_builds bool, \
         messaging_exchange_id messaging_exchanges",
    ),
    numbered(
        "product_clusters",
        "product_id products!, etcd_cluster_id etcd_clusters, primary_ind bool",
    ),
    // A port belongs to a component or to a unit.
    numbered(
        "etcd_cluster_ports",
        "etcd_cluster_id etcd_clusters!, product_component_id product_components, port int!, unit_name text, \
         workflow_id text",
    ),
    numbered(
        "system_component_refs",
        "type text!, source_repo text!, source_repo_git_ref text!, auto_upgrade_enabled bool!",
    ),
    numbered(
        "system_components",
        "messaging_exchange_id messaging_exchanges!, type text!, source_repo text!, source_repo_git_ref text!, \
         deployment_repo text, deployment_repo_git_ref text, upgrade_strategy text!, status text, upgrade_status text",
    ),
    numbered("users", "first_name text!, last_name text!, email text!"),
    numbered(
        "system_events",
        "type text!, severity text!, message text, data text, dismissed_at_ms int, assigned_at_ms int, \
         dismissed_by_id users, assignee_id users, assigned_by_id users, dismissed_reason text",
    ),
    numbered(
        "auth_sources",
        "name text, token_info_url text!, email_field_name text!, first_name_field_name text!, \
         last_name_field_name text!",
    ),
    numbered("auth_sources_users_relations", "auth_source_id auth_sources, user_id users"),
    numbered("authorities", "hostname text!, port int!"),
    numbered("deleted_authorities", "hostname text!, port int!"),
    numbered(
        "routes",
        "authority_id authorities!, hostname text!, port int!, secure_connection bool!",
    ),
];

/// Indexes; a unique one is what the original checked by looking first.
pub(super) const INDEXES: &[&str] = &[
    "UNIQUE INDEX products_name ON products (lower(name))",
    "UNIQUE INDEX product_environments_name ON product_environments (product_id, lower(name))",
    "UNIQUE INDEX pev_environment_name ON product_environmental_variables \
     (product_id, product_environment_id, lower(name))",
    "UNIQUE INDEX pev_prod_id_name_prod_env_null_idx ON product_environmental_variables (product_id, lower(name)) \
     WHERE product_environment_id IS NULL",
    "UNIQUE INDEX product_clusters_cluster ON product_clusters (product_id, etcd_cluster_id)",
    "INDEX product_clusters_by_cluster ON product_clusters (etcd_cluster_id)",
    "UNIQUE INDEX product_components_name ON product_components (product_id, lower(name))",
    "INDEX product_component_options_component ON product_component_options (product_component_id)",
    "UNIQUE INDEX product_deployment_plans_name ON product_deployment_plans (product_id, lower(name))",
    "INDEX plan_steps_plan ON product_deployment_plan_steps (product_deployment_plan_id)",
    "INDEX plan_step_options_step ON product_deployment_plan_step_options (product_deployment_plan_step_id)",
    "INDEX product_deployments_product ON product_deployments (product_id, inserted_at_ms)",
    "INDEX product_deployment_steps_deployment ON product_deployment_steps (product_deployment_id)",
    "UNIQUE INDEX messaging_brokers_name ON messaging_brokers (lower(name))",
    "INDEX messaging_broker_connections_broker ON messaging_broker_connections (messaging_broker_id)",
    "UNIQUE INDEX messaging_exchanges_name ON messaging_exchanges (lower(name))",
    "UNIQUE INDEX messaging_exchange_brokers_pair ON messaging_exchange_brokers \
     (messaging_exchange_id, messaging_broker_id)",
    "UNIQUE INDEX messaging_exchange_modules_place ON messaging_exchange_modules \
     (coalesce(messaging_exchange_id, 0), hostname, type)",
    "INDEX messaging_rpc_requests_inserted ON messaging_rpc_requests (inserted_at_ms)",
    "UNIQUE INDEX etcd_clusters_token ON etcd_clusters (lower(etcd_token))",
    "INDEX etcd_clusters_exchange ON etcd_clusters (messaging_exchange_id)",
    "UNIQUE INDEX etcd_cluster_ports_port ON etcd_cluster_ports (etcd_cluster_id, port)",
    "UNIQUE INDEX etcd_cluster_ports_unit ON etcd_cluster_ports (etcd_cluster_id, unit_name) \
     WHERE unit_name IS NOT NULL",
    "UNIQUE INDEX system_component_refs_type ON system_component_refs (lower(type))",
    "UNIQUE INDEX system_components_type ON system_components (messaging_exchange_id, lower(type))",
    "INDEX system_events_inserted ON system_events (inserted_at_ms)",
    "INDEX system_events_type ON system_events (type, inserted_at_ms)",
    "INDEX system_events_assignee ON system_events (assignee_id)",
    "UNIQUE INDEX users_email ON users (email)",
    "UNIQUE INDEX auth_sources_url ON auth_sources (token_info_url)",
    "UNIQUE INDEX auth_sources_users_pair ON auth_sources_users_relations (auth_source_id, user_id)",
    "UNIQUE INDEX authorities_host ON authorities (lower(hostname), port)",
    "INDEX deleted_authorities_inserted ON deleted_authorities (inserted_at_ms)",
    "UNIQUE INDEX routes_host ON routes (authority_id, lower(hostname), port)",
];
