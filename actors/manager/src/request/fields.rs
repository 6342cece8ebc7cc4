//! Casts parameters to typed fields, and gathers what is wrong with all of them.

use serde_json::Value;

use super::Params;
use crate::error::{ApiError, Problem};
use crate::time;

const BLANK: &str = "can't be blank";
const INVALID: &str = "is invalid";

/// What a request says about a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given<T> {
    /// Nothing: it stays as it is.
    Absent,
    /// That it is unset.
    Null,
    /// Its value.
    Value(T),
}

impl<T> Given<T> {
    /// The value, if there is one.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// `None` if absent, `Some(None)` if unset: what a patch wants.
    pub(crate) fn patch(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }

    /// The same about `change(value)`; `None` unsets.
    pub(crate) fn and_then<U>(self, change: impl FnOnce(T) -> Option<U>) -> Given<U> {
        match self {
            Self::Absent => Given::Absent,
            Self::Null => Given::Null,
            Self::Value(value) => change(value).map_or(Given::Null, Given::Value),
        }
    }
}

/// Reads fields one by one; [`Fields::check`] refuses if any was wrong.
pub(crate) struct Fields<'a> {
    params: &'a Params,
    what: String,
    problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// Reads `params` as fields of `what`.
    pub(crate) fn new(params: &'a Params, what: impl Into<String>) -> Self {
        Self { params, what: what.into(), problems: Vec::new() }
    }

    /// Notes a problem that the caller found.
    pub(crate) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Refuses if anything was wrong so far.
    pub(crate) fn check(self) -> Result<(), ApiError> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid_fields(self.what, self.problems))
        }
    }

    /// Text of at most `most` characters and without control characters.
    pub(crate) fn text(&mut self, name: &str, most: usize) -> Given<String> {
        let allowed = format!("a text of at most {most} characters, without control characters");
        self.cast(name, &allowed, |value| match value {
            Value::String(text) if text.chars().any(char::is_control) => {
                Err("has invalid format".to_owned())
            }
            Value::String(text) => check_length(text, most),
            _ => Err(INVALID.to_owned()),
        })
    }

    /// Text of at most `most` characters, of several lines if need be.
    pub(crate) fn prose(&mut self, name: &str, most: usize) -> Given<String> {
        let allowed = format!("a text of at most {most} characters");
        self.cast(name, &allowed, |value| match value {
            Value::String(text) if text.contains('\0') => Err("has invalid format".to_owned()),
            Value::String(text) => check_length(text, most),
            _ => Err(INVALID.to_owned()),
        })
    }

    /// Text as it was sent; the caller checks what is in it.
    pub(crate) fn raw_text(&mut self, name: &str) -> Given<String> {
        self.cast(name, "a text", |value| {
            value.as_str().map(str::to_owned).ok_or_else(|| INVALID.to_owned())
        })
    }

    /// Text that must be there and not be empty.
    pub(crate) fn required_text(&mut self, name: &str, most: usize) -> Option<String> {
        let before = self.problems.len();
        match self.text(name, most) {
            Given::Value(text) if text.is_empty() => {
                self.problem(Problem::new(name, "should be at least 1 character(s)"));
                None
            }
            Given::Value(text) => Some(text),
            Given::Absent | Given::Null if self.problems.len() == before => {
                self.problem(
                    Problem::new(name, BLANK).allowed(format!("a text of 1 to {most} characters")),
                );
                None
            }
            Given::Absent | Given::Null => None,
        }
    }

    /// `true`, `false`, or one of the texts `true`, `false`, `1`, `0`.
    pub(crate) fn boolean(&mut self, name: &str) -> Given<bool> {
        self.cast(name, "true or false", |value| match value {
            Value::Bool(value) => Ok(*value),
            Value::String(text) if text == "true" || text == "1" => Ok(true),
            Value::String(text) if text == "false" || text == "0" => Ok(false),
            _ => Err(INVALID.to_owned()),
        })
    }

    /// A whole number, also as text.
    pub(crate) fn integer(&mut self, name: &str) -> Given<i64> {
        self.cast(name, "a whole number", |value| integer(value).ok_or_else(|| INVALID.to_owned()))
    }

    /// A whole number, also as text; anything else counts as absent.
    pub(crate) fn lenient_integer(&mut self, name: &str) -> Option<i64> {
        self.params.get(name).and_then(integer)
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, name: &str) -> Given<Vec<String>> {
        self.cast(name, "a list of texts", |value| {
            let items = value
                .as_array()
                .map(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
            items.flatten().ok_or_else(|| INVALID.to_owned())
        })
    }

    /// An object.
    pub(crate) fn object(&mut self, name: &str) -> Given<Value> {
        self.cast(name, "an object", |value| match value {
            Value::Object(_) => Ok(value.clone()),
            _ => Err(INVALID.to_owned()),
        })
    }

    /// Any JSON.
    pub(crate) fn json(&mut self, name: &str) -> Given<Value> {
        self.cast(name, "any JSON", |value| Ok(value.clone()))
    }

    /// A time such as `Tue, 23 Jun 2015 19:39:11 UTC`, in milliseconds since 1970.
    pub(crate) fn time(&mut self, name: &str) -> Given<i64> {
        self.cast(name, "a time such as `Tue, 23 Jun 2015 19:39:11 UTC`", |value| {
            value.as_str().and_then(time::parse_rfc1123).ok_or_else(|| INVALID.to_owned())
        })
    }

    fn cast<T>(
        &mut self,
        name: &str,
        allowed: &str,
        cast: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Given<T> {
        match self.params.get(name) {
            None => Given::Absent,
            Some(Value::Null) => Given::Null,
            Some(value) => match cast(value) {
                Ok(value) => Given::Value(value),
                Err(message) => {
                    self.problem(Problem::new(name, message).allowed(allowed));
                    Given::Null
                }
            },
        }
    }
}

fn check_length(text: &str, most: usize) -> Result<String, String> {
    if text.chars().count() > most {
        return Err(format!("should be at most {most} character(s)"));
    }
    Ok(text.to_owned())
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(value: Value) -> Params {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn numbers_and_booleans_are_also_read_from_texts() {
        let params = params(
            json!({"a": "5", "b": 5, "c": "true", "d": "1", "e": false, "f": "0", "g": null}),
        );
        let mut fields = Fields::new(&params, "X");
        assert_eq!(fields.integer("a"), Given::Value(5));
        assert_eq!(fields.integer("b"), Given::Value(5));
        assert_eq!(fields.boolean("c"), Given::Value(true));
        assert_eq!(fields.boolean("d"), Given::Value(true));
        assert_eq!(fields.boolean("e"), Given::Value(false));
        assert_eq!(fields.boolean("f"), Given::Value(false));
        assert_eq!(fields.boolean("g"), Given::Null);
        assert_eq!(fields.boolean("h"), Given::Absent);
        fields.check().expect("nothing is wrong");
    }

    #[test]
    fn every_wrong_field_is_named_once() {
        let params = params(
            json!({"text": 5, "flag": 1, "number": "x", "list": ["a", 1], "long": "abc", "line": "a\nb"}),
        );
        let mut fields = Fields::new(&params, "X");
        fields.text("text", 9);
        fields.boolean("flag");
        fields.integer("number");
        fields.texts("list");
        fields.text("long", 2);
        fields.text("line", 9);
        fields.required_text("missing", 9);
        fields.required_text("text", 9);
        let names: Vec<_> =
            fields.problems.iter().map(|p| (p.field.as_str(), p.message.as_str())).collect();
        assert_eq!(
            names,
            [
                ("text", "is invalid"),
                ("flag", "is invalid"),
                ("number", "is invalid"),
                ("list", "is invalid"),
                ("long", "should be at most 2 character(s)"),
                ("line", "has invalid format"),
                ("missing", "can't be blank"),
                ("text", "is invalid"),
            ]
        );
        assert!(fields.check().is_err());
    }
}
