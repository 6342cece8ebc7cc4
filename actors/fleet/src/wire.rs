//! What a Fleet server sends, read with tolerance.
//!
//! A Fleet server leaves out every field that is empty, the value of an option too, and may hold states that it should
//! have refused.

use oa_protocol::unit::{Machine, Unit, UnitDesire, UnitOption, UnitState};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A unit as it comes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireUnit {
    #[serde(default)]
    name: String,
    #[serde(default)]
    options: Vec<WireOption>,
    #[serde(default)]
    desired_state: Option<String>,
    #[serde(default)]
    current_state: Option<String>,
    #[serde(default, rename = "machineID")]
    machine_id: Option<String>,
}

#[derive(Deserialize)]
struct WireOption {
    #[serde(default)]
    section: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
}

impl From<WireUnit> for Unit {
    fn from(wire: WireUnit) -> Self {
        let option = |o: WireOption| UnitOption::new(o.section, o.name, o.value);
        Self {
            name: wire.name,
            options: wire.options.into_iter().map(option).collect(),
            desired_state: wire.desired_state.as_deref().and_then(desire),
            current_state: wire.current_state.as_deref().and_then(desire),
            machine_id: wire.machine_id.filter(|id| !id.is_empty()),
        }
    }
}

fn desire(word: &str) -> Option<UnitDesire> {
    match word {
        "inactive" => Some(UnitDesire::Inactive),
        "loaded" => Some(UnitDesire::Loaded),
        "launched" => Some(UnitDesire::Launched),
        _ => None,
    }
}

/// What a PUT says; the server takes what is missing from what it has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutUnit<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) options: Option<&'a [UnitOption]>,
    pub(crate) desired_state: UnitDesire,
}

/// One page of a listing.
pub(crate) trait Page: DeserializeOwned {
    type Item;
    fn into_parts(self) -> (Vec<Self::Item>, Option<String>);
}

macro_rules! page {
    ($name:ident, $field:ident, $wire:ty => $item:ty) => {
        #[derive(Deserialize)]
        pub(crate) struct $name {
            #[serde(default)]
            $field: Vec<$wire>,
            #[serde(default, rename = "nextPageToken")]
            next_page_token: Option<String>,
        }

        impl Page for $name {
            type Item = $item;

            fn into_parts(self) -> (Vec<$item>, Option<String>) {
                let items = self.$field.into_iter().map(Into::into).collect();
                (items, self.next_page_token.filter(|token| !token.is_empty()))
            }
        }
    };
}

page!(UnitPage, units, WireUnit => Unit);
page!(StatePage, states, UnitState => UnitState);
page!(MachinePage, machines, Machine => Machine);

/// The words of an error answer: Fleet's JSON, or whatever else came.
pub(crate) fn message_of(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Wrapped {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(default)]
        message: String,
    }
    let message = match serde_json::from_str::<Wrapped>(body) {
        Ok(wrapped) => wrapped.error.message,
        Err(_) => body.trim().chars().take(200).collect(),
    };
    (!message.is_empty()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_an_error_are_found_whatever_its_shape() {
        let cases = [
            ("{\"error\":{\"code\":409,\"message\":\"unit exists\"}}", Some("unit exists")),
            ("{\"error\":{\"code\":404,\"message\":\"\"}}", None),
            ("", None),
            ("plain text\n", Some("plain text")),
        ];
        for (body, words) in cases {
            assert_eq!(message_of(body).as_deref(), words, "{body}");
        }
    }

    #[test]
    fn a_unit_with_an_empty_value_or_a_strange_state_is_read() {
        // Exchange 121 of a real server, cut; and a state that such a server keeps although it should not.
        let text = "{\"currentState\":\"inactive\",\"desiredState\":\"running\",\"name\":\"multi.service\",\
                    \"options\":[{\"name\":\"ExecStart\",\"section\":\"Service\"}]}";
        let unit: Unit = serde_json::from_str::<WireUnit>(text).expect("it is read").into();
        assert_eq!(unit.options, [UnitOption::new("Service", "ExecStart", "")]);
        assert_eq!((unit.desired_state, unit.current_state), (None, Some(UnitDesire::Inactive)));
    }

    #[test]
    fn an_empty_listing_is_an_empty_object() {
        let (units, token) =
            serde_json::from_str::<UnitPage>("{}").expect("an empty page").into_parts();
        assert!(units.is_empty() && token.is_none());
    }
}
