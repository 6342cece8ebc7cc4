//! Hostile texts through every field of a workflow: refused by the name of the field, or safe as an argument.
//! `OA_TEST_HOSTILE_STRINGS` sets how many.

use actix_web::ResponseError;
use actix_web::body::MessageBody;
use oa_test_services::hostile::{HostileStrings, count};
use serde_json::json;

use super::*;
use crate::request::Params;

const NAMES: [&str; 5] = [
    "deployment_repo",
    "deployment_repo_git_ref",
    "source_repo",
    "source_repo_git_ref",
    "source_commit_hash",
];

fn read(field: &str, text: &str) -> Result<WorkflowFields, String> {
    let params: Params = json!({field: text}).as_object().expect("an object").clone();
    let mut fields = Fields::new(&params, WORKFLOW);
    let read = workflow_fields(&mut fields, true, trimmed);
    check_unused(&mut fields);
    fields.check().map(|()| read).map_err(|error| body(&error.fields_on_top()))
}

/// What a client reads.
fn body(error: &ApiError) -> String {
    let bytes = error.error_response().into_body().try_into_bytes().expect("a body at hand");
    String::from_utf8(bytes.to_vec()).expect("JSON")
}

#[test]
fn every_field_of_a_workflow_is_refused_by_name_or_safe_as_an_argument() {
    for text in HostileStrings::new(5, count(5_000), "/tmp/canary") {
        for field in NAMES {
            let fields = match read(field, &text) {
                Ok(fields) => fields,
                Err(refusal) => {
                    assert!(refusal.contains(field), "{text:?} as {field}: {refusal}");
                    assert!(!refusal.chars().any(char::is_control), "{refusal:?}");
                    continue;
                }
            };
            let given = match field {
                "deployment_repo" => fields.deployment_repo,
                "deployment_repo_git_ref" => fields.deployment_repo_git_ref,
                "source_repo" => fields.source_repo,
                "source_repo_git_ref" => fields.source_repo_git_ref,
                _ => fields.source_commit_hash,
            };
            if let Given::Value(given) = given {
                assert!(given == text || given == trimmed(&text), "{text:?} became {given:?}");
                assert!(!given.starts_with('-') && given.bytes().all(|b| b.is_ascii_graphic()));
                assert!(!given.split('/').any(|part| part == ".."), "{given:?} leads up");
            }
        }
        for field in ["scheduled_start_time", "execute_options", "milestones", "workflow_error"] {
            if let Err(refusal) = read(field, &text) {
                assert!(refusal.contains(field), "{text:?} as {field}: {refusal}");
            }
        }
    }
}
