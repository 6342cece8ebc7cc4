//! `/system_events`: what an operator should know.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use oa_store::{NewSystemEvent, SystemEventFilter};

use super::lookback;
use crate::auth::Principal;
use crate::error::{ApiError, Problem};
use crate::request::Call;
use crate::views;

/// What errors are about.
const EVENT: &str = "SystemEvent";
/// Longest kind and severity.
const MAX_WORD: usize = 255;
/// Longest message and reason.
const MAX_PROSE: usize = 16_384;

/// `GET /system_events`: those of the last `lookback` hours, or those assigned to `assignee_id`.
pub(crate) async fn list_system_events(call: Call) -> Result<HttpResponse, ApiError> {
    let mut fields = call.fields(EVENT);
    let since_ms = lookback(&mut fields);
    let assignee = fields.integer("assignee_id").value();
    fields.check()?;
    let filter = match assignee {
        Some(user_id) if !call.params.contains_key("lookback") => {
            SystemEventFilter::AssignedTo(user_id)
        }
        _ => since_ms.map_or(SystemEventFilter::All, SystemEventFilter::Since),
    };
    let events = call.app.system_events.list(filter).await?;
    views::ok(&events.iter().map(views::system_event).collect::<Vec<_>>())
}

/// `GET /system_events/:id`.
pub(crate) async fn get_system_event(call: Call) -> Result<HttpResponse, ApiError> {
    let id = event_id(&call)?;
    views::ok(&views::system_event(&call.app.system_events.get(id).await?))
}

/// `POST /system_events`: 201; with `unique` 409 while an equal event of the last hour is there.
pub(crate) async fn create_system_event(call: Call) -> Result<HttpResponse, ApiError> {
    let mut fields = call.fields(EVENT);
    let kind = fields.required_text("type", MAX_WORD);
    let severity = fields.required_text("severity", MAX_WORD);
    let message = fields.prose("message", MAX_PROSE).value();
    let data = fields.json("data").value();
    let unique = fields.boolean("unique").value() == Some(true);
    fields.check()?;
    let (Some(kind), Some(severity)) = (kind, severity) else {
        return Err(ApiError::internal(EVENT));
    };
    call.app.system_events.create(NewSystemEvent { kind, severity, message, data, unique }).await?;
    views::located(StatusCode::CREATED, "/system_events")
}

/// `POST /system_events/:id/assign`: 204. The caller assigns, whatever the body says.
pub(crate) async fn assign_system_event(call: Call) -> Result<HttpResponse, ApiError> {
    let event = call.app.system_events.get(event_id(&call)?).await?;
    let given = call.fields("User").integer("assignee_id").value();
    let Some(assignee) = given else {
        let problem = Problem::new("assignee_id", "can't be blank").allowed("the id of a user");
        return Err(ApiError::invalid_fields("User", vec![problem]));
    };
    call.app.system_events.assign(event.id, assignee, user_of(&call, "assigned_by")?).await?;
    views::located(StatusCode::NO_CONTENT, &format!("/system_events/{}", event.id))
}

/// `POST /system_events/:id/dismiss`: 204. The caller dismisses, unless `dismissed_by_id` says who.
pub(crate) async fn dismiss_system_event(call: Call) -> Result<HttpResponse, ApiError> {
    let event = call.app.system_events.get(event_id(&call)?).await?;
    let mut fields = call.fields(EVENT);
    let by = fields.integer("dismissed_by_id").value();
    let reason = fields.prose("dismissed_reason", MAX_PROSE).value();
    fields.check()?;
    let by = match by {
        Some(user_id) => user_id,
        None => user_of(&call, "dismissed_by")?,
    };
    call.app.system_events.dismiss(event.id, by, reason).await?;
    views::located(StatusCode::NO_CONTENT, &format!("/system_events/{}", event.id))
}

fn event_id(call: &Call) -> Result<i64, ApiError> {
    let id = call.path("id");
    id.parse().map_err(|_| ApiError::not_found(format!("{EVENT} {id}")))
}

fn user_of(call: &Call, role: &str) -> Result<i64, ApiError> {
    let user = call.principal.as_ref().map(Principal::user_id);
    user.ok_or_else(|| {
        ApiError::invalid_fields(format!("User {role}"), vec![Problem::new(role, "can't be blank")])
    })
}
