//! Bodies, read as the original reads them: names of fields in any case, null for nothing, and no care for what is
//! unknown or comes after the object.

use oa_fleet::unit::UnitOption;
use serde_json::{Map, Value};

use super::error::ApiError;

/// The first JSON value of a body.
pub(super) fn json(bytes: &[u8]) -> Result<Value, String> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    match values.next() {
        None => Err("EOF".into()),
        Some(Ok(value)) => Ok(value),
        Some(Err(why)) if why.is_eof() => Err("unexpected EOF".into()),
        Some(Err(why)) => Err(why.to_string()),
    }
}

/// What a client says of a unit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UnitBody {
    pub(super) name: String,
    pub(super) options: Vec<UnitOption>,
    pub(super) desired_state: String,
}

impl UnitBody {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        let refuse = |why: String| ApiError::new(400, format!("unable to decode body: {why}"));
        match json(bytes).map_err(refuse)? {
            Value::Null => Ok(Self::default()),
            Value::Object(fields) => Self::of(&fields).map_err(refuse),
            _ => Err(refuse("it is no object".into())),
        }
    }

    fn of(fields: &Map<String, Value>) -> Result<Self, String> {
        let options = match field(fields, "options") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(options)) => options.iter().map(option).collect::<Result<_, _>>()?,
            Some(_) => return Err("options is no list of objects".into()),
        };
        Ok(Self {
            name: text(fields, "name")?,
            options,
            desired_state: text(fields, "desiredState")?,
        })
    }
}

fn option(value: &Value) -> Result<UnitOption, String> {
    let Value::Object(fields) = value else { return Err("an option is no object".into()) };
    Ok(UnitOption::new(text(fields, "section")?, text(fields, "name")?, text(fields, "value")?))
}

/// A field, whatever the case of its name; the exact name wins.
pub(super) fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let other_case = || fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    fields.get(name).or_else(|| other_case().map(|(_, value)| value))
}

/// The text of a field; empty if it is missing or null.
pub(super) fn text(fields: &Map<String, Value>, name: &str) -> Result<String, String> {
    match field(fields, name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("{name} is no text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_of_the_original_send_is_understood() {
        let cases = [
            ("null", UnitBody::default()),
            ("{\"name\":null,\"options\":null,\"machineID\":null}", UnitBody::default()),
            (
                "{\"DESIREDSTATE\":\"launched\",\"colour\":\"red\"} trailing garbage",
                UnitBody { desired_state: "launched".into(), ..UnitBody::default() },
            ),
            (
                "{\"options\":[{\"section\":\"Service\",\"name\":\"ExecStart\"}]}",
                UnitBody {
                    options: vec![UnitOption::new("Service", "ExecStart", "")],
                    ..UnitBody::default()
                },
            ),
        ];
        for (text, body) in cases {
            assert_eq!(UnitBody::read(text.as_bytes()).expect(text), body);
        }
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        for text in ["", "{", "[]", "1", "{\"options\":{}}", "{\"options\":[1]}", "{\"name\":1}"] {
            assert!(UnitBody::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
