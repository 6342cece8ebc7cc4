//! The body of a refused request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Says why a request was refused.
///
/// `errors` has the original's shape: the first element says what went wrong, each further one names a field
/// and what is wrong with it. The other fields are ours.
///
/// ```json
/// {"errors":[{"message":"One or more fields for SystemEvent were invalid"},{"type":"can't be blank"}],
///  "code":"invalid","hint":"…","request_id":"…"}
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong, then a field each.
    pub errors: Vec<BTreeMap<String, String>>,
    /// A word for programs, such as `not_found`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Names the request in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ErrorBody {
    /// A body that says `message`, with `code` for programs.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: Some(code.into()), ..Self::default() }.and("message", message)
    }

    /// Names a field and what is wrong with it.
    #[must_use]
    pub fn field(self, name: impl Into<String>, problem: impl Into<String>) -> Self {
        self.and(name, problem)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the name of the request.
    #[must_use]
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = Some(request_id.into());
        self
    }

    /// The body in one line: the message, then each field with its problem.
    #[must_use]
    pub fn message(&self) -> String {
        let parts = self.errors.iter().flatten().map(|(name, text)| match name.as_str() {
            "message" => text.clone(),
            field => format!("`{field}` {text}"),
        });
        parts.collect::<Vec<_>>().join("; ")
    }

    fn and(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.errors.push(BTreeMap::from([(name.into(), text.into())]));
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn message_comes_first_and_each_field_is_an_object_of_its_own() {
        let body = ErrorBody::new("invalid", "One or more fields for SystemEvent were invalid")
            .field("type", "can't be blank")
            .request_id("r1");
        assert_eq!(
            serde_json::to_value(&body).expect("JSON"),
            json!({
                "errors": [
                    {"message": "One or more fields for SystemEvent were invalid"},
                    {"type": "can't be blank"}
                ],
                "code": "invalid",
                "request_id": "r1"
            })
        );
        assert_eq!(
            body.message(),
            "One or more fields for SystemEvent were invalid; `type` can't be blank"
        );
    }
}
