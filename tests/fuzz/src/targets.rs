//! A function per format: it panics if something does not hold for the bytes that it is given.

use oa_fleet::unit_file::{self, MAX_FILE_BYTES};
use oa_runtime::transport::{Envelope, Frame, MAX_BODY};
use serde_json::json;

use crate::template::{Values, render};

/// A target and its name, which is also that of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: &[Target] =
    &[("unit_file", unit_file), ("put_body", put_body), ("template", template), ("frame", frame)];

/// A unit file is read and written without loss, or refused at one of its places.
pub fn unit_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match unit_file::parse(text, "fuzz.service") {
        Ok(options) => {
            assert_eq!(unit_file::check(&options), Ok(()), "what was read may be sent");
            let written = unit_file::write(&options);
            assert!(written.len() <= MAX_FILE_BYTES);
            let again =
                unit_file::parse(&written, "fuzz.service").expect("what was written can be read");
            assert_eq!(unit_file::write(&again), written, "nothing is lost");
            assert_eq!(again.len(), options.len(), "no option comes or goes");
        }
        Err(why) => {
            let line =
                text.split('\n').nth(why.line - 1).expect("the fault is in a line of the file");
            assert!((1..=line.chars().count() + 1).contains(&why.column), "{why}");
        }
    }
}

/// The body of a PUT is understood or refused, up to the plan of what would run.
///
/// Bytes that begin no object are lines of a unit file, of which a body is made: so that what changes is the options.
pub fn put_body(data: &[u8]) {
    let body = if data.starts_with(b"{") {
        data.to_vec()
    } else {
        body_of(&String::from_utf8_lossy(data))
    };
    if let Ok(options) = oa_fleet_host::read_put("fuzz@1.service", &body) {
        assert_eq!(unit_file::check(&options), Ok(()), "what is stored is a unit file");
        let read = unit_file::parse(&unit_file::write(&options), "fuzz@1.service");
        assert_eq!(read.as_ref(), Ok(&options), "what is stored is what was sent");
    }
}

/// A body with an option for each line that looks like one; `~` stands for a line break within a value.
fn body_of(text: &str) -> Vec<u8> {
    let mut section = "Service";
    let mut options = Vec::new();
    for line in text.split('\n') {
        if let Some(name) = line.strip_prefix('[') {
            section = name.strip_suffix(']').unwrap_or(name);
        } else if let Some((name, value)) = line.split_once('=') {
            let value = value.replace('~', "\n");
            options.push(json!({ "section": section, "name": name, "value": value }));
        }
    }
    json!({ "desiredState": "launched", "options": options }).to_string().into_bytes()
}

/// A template is filled in or refused; nothing that was declared as a value is looked at as a template again.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let values = Values::default()
        .with("name", "<%= other %>")
        .with("other", "{{ name }}")
        .without("none", "no reason");
    match render("fuzz.eex", text, &values) {
        Ok(filled) => {
            let longest = text.len() * "<%= other %>".len() + 1;
            assert!(filled.len() <= longest, "values are filled in once");
        }
        Err(why) => {
            let line = text
                .split('\n')
                .nth(why.at.line - 1)
                .expect("the fault is in a line of the template");
            assert!((1..=line.chars().count() + 1).contains(&why.at.column), "{why}");
        }
    }
}

/// A frame is opened or refused, never beyond the cap; an opened one can be sealed and opened again.
///
/// The first byte chooses the encoding, the next two the length of the head.
pub fn frame(data: &[u8]) {
    let [encoding, low, high, rest @ ..] = data else { return };
    let (head, body) =
        rest.split_at(usize::from(u16::from_le_bytes([*low, *high])).min(rest.len()));
    let encoding = match encoding % 4 {
        0 => None,
        1 => Some("deflate".to_owned()),
        2 => Some("identity".to_owned()),
        _ => Some("br".to_owned()),
    };
    if let Ok(envelope) = (Frame { head: head.into(), body: body.into(), encoding }).open() {
        assert!(envelope.body.len() <= MAX_BODY);
        let sealed = Frame::seal(envelope.clone()).expect("what was opened can be sealed");
        assert_eq!(sealed.open().expect("what was sealed can be opened"), envelope);
        let _signed = envelope.signed_content();
    }
    // As it lies in an outbox.
    if let Ok(envelope) = serde_json::from_slice::<Envelope>(rest) {
        let text = serde_json::to_string(&envelope).expect("what was read can be written");
        assert_eq!(
            serde_json::from_str::<Envelope>(&text).expect("what was written can be read"),
            envelope
        );
    }
}
