//! What cannot be shown here or ends otherwise, and why. `docs/fleet-api.md` holds the same list.

use std::fmt::Write;

/// How the answer differs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Nobody sends it: one machine cannot come into that state.
    NotSent,
    /// It has this status.
    Status(u16),
    /// Status and headers are the same; the words of the error are others.
    Words,
    /// Status and headers are the same; the body is another.
    Body,
    /// What is on other machines is not there, nor are these units; the rest of the list is the same.
    Part(&'static [&'static str]),
}

/// Recordings that differ in the same way for the same reason.
pub(crate) struct Difference {
    pub(crate) exchanges: &'static [u16],
    /// Recordings that are no exchanges.
    pub(crate) others: &'static [&'static str],
    pub(crate) kind: Kind,
    pub(crate) why: &'static str,
}

const fn exchanges(exchanges: &'static [u16], kind: Kind, why: &'static str) -> Difference {
    Difference { exchanges, others: &[], kind, why }
}

const fn others(others: &'static [&'static str], why: &'static str) -> Difference {
    Difference { exchanges: &[], others, kind: Kind::NotSent, why }
}

pub(crate) const DIFFERENCES: &[Difference] = &[
    // What one machine cannot show.
    exchanges(
        &[14, 15, 22, 27, 145, 152, 197, 198, 227, 260, 263, 264, 266, 276],
        Kind::Part(&[]),
        "there is one machine; what the original lists of the two others is not compared",
    ),
    exchanges(
        &[267, 268, 269, 270, 271, 272, 273, 274, 275],
        Kind::NotSent,
        "etcd is down; this cluster has no etcd",
    ),
    exchanges(
        &[87],
        Kind::NotSent,
        "asked for before an agent has looked, which it does every 5 s; here the machine acts at once",
    ),
    others(&["timeline-machine-loss.jsonl"], "needs a second machine that takes over"),
    others(
        &["ssh-journal.txt"],
        "needs ssh to another machine; here the output is read through the API",
    ),
    // What is refused at once, since it could only go wrong later.
    exchanges(
        &[126],
        Kind::Status(400),
        "a line break in a value adds a line to the unit file, such as `User=root`; here it is refused",
    ),
    exchanges(
        &[128],
        Kind::Status(400),
        "an option without section and name is no line of a unit file",
    ),
    exchanges(&[127, 129], Kind::Status(404), "the unit was refused, see 126 and 128"),
    exchanges(
        &[131],
        Kind::Part(&["newline.service", "nosect.service"]),
        "the list without the units that were refused, see 126 and 128",
    ),
    exchanges(
        &[84, 254],
        Kind::Status(400),
        "a desired state that does not exist: the original answers 500, or takes it and can then neither show, change nor \
         remove the unit",
    ),
    exchanges(&[255], Kind::Status(200), "the unit is sound, since 254 was refused"),
    exchanges(&[256], Kind::Part(&["poison.service"]), "the unit is listed, since 254 was refused"),
    exchanges(
        &[257, 258],
        Kind::Status(204),
        "the unit can be changed and removed, since 254 was refused",
    ),
    exchanges(
        &[277],
        Kind::Status(400),
        "a new template cannot be launched, as one that is there cannot (135); in the original it wedges the agent",
    ),
    exchanges(&[278, 279, 281], Kind::Status(404), "the template was refused, see 277"),
    exchanges(
        &[282, 283],
        Kind::Body,
        "the unit runs: no template wedges the machine, see 277; 284 shows the same of the original, repaired by hand",
    ),
    exchanges(
        &[162],
        Kind::Status(400),
        "a service without `ExecStart=` can never start; the original takes it and says nothing",
    ),
    exchanges(
        &[163],
        Kind::Status(400),
        "an option that this host does not know is refused; systemd ignores it, and the unit runs otherwise than its file says",
    ),
    exchanges(
        &[165],
        Kind::Status(400),
        "this host runs services; other types can be kept, not launched",
    ),
    exchanges(&[181, 183, 187], Kind::Status(404), "the unit was refused, see 162, 163 and 165"),
    exchanges(
        &[182, 184, 188],
        Kind::Body,
        "no state, since the unit was refused, see 162, 163 and 165",
    ),
    exchanges(
        &[186],
        Kind::Body,
        "a unit whose requirement is not here has failed, with its reason; systemd drops the start and shows the unit as dead",
    ),
    // What is said better.
    exchanges(
        &[20, 32, 44, 47, 48, 49, 83],
        Kind::Words,
        "the words of the original name types of Go, or do not name the option",
    ),
    exchanges(
        &[92],
        Kind::Status(404),
        "the original breaks and closes the connection when it is asked for the state of a unit that it does not know",
    ),
];

/// How an exchange differs, if it does.
pub(crate) fn of(number: u16) -> Option<&'static Difference> {
    DIFFERENCES.iter().find(|difference| difference.exchanges.contains(&number))
}

/// The list, as the document holds it.
pub(crate) fn document() -> String {
    let mut text = String::from("| recording | here | why |\n| --- | --- | --- |\n");
    for difference in DIFFERENCES {
        let numbers = difference.exchanges.iter().map(|number| format!("{number:03}"));
        let files = difference.others.iter().map(|name| format!("`{name}`"));
        let names: Vec<String> = numbers.chain(files).collect();
        let how = match difference.kind {
            Kind::NotSent => "not compared".to_owned(),
            Kind::Status(status) => format!("status {status}"),
            Kind::Words => "other words of the error".to_owned(),
            Kind::Body => "another body".to_owned(),
            Kind::Part(_) => "a part of the list".to_owned(),
        };
        writeln!(text, "| {} | {how} | {} |", names.join(", "), difference.why)
            .expect("writing to a text never fails");
    }
    text
}
