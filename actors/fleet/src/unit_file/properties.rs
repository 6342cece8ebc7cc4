//! What holds for every text and every list of options.

use oa_protocol::unit::UnitOption;
use proptest::prelude::*;

use super::{check, parse, write};

/// Options section by section, as a file holds them, without blanks around their values.
fn as_in_a_file(options: &[UnitOption]) -> Vec<UnitOption> {
    let mut sections: Vec<&str> = Vec::new();
    for option in options {
        if !sections.contains(&option.section.as_str()) {
            sections.push(&option.section);
        }
    }
    let mut gathered = Vec::new();
    for section in sections {
        let members = options.iter().filter(|option| option.section == section);
        gathered.extend(members.map(|o| UnitOption::new(section, &*o.name, o.value.trim())));
    }
    gathered
}

/// Options that a unit file may hold.
fn fine_option() -> impl Strategy<Value = UnitOption> {
    let section = prop_oneof!["Unit", "Service", "X-Fleet", "[A-Za-zé -]{1,8}"];
    let name = "[A-Za-z\\\\%é-][A-Za-z0-9#;é-]{0,12}";
    let line = "[ -~é\t]{0,30}";
    let value = prop::collection::vec(line, 1..4).prop_map(|lines| lines.join("\\\n"));
    (section, name, value).prop_map(|(section, name, value)| UnitOption::new(section, name, value))
}

/// Options as anybody may send them.
fn any_option() -> impl Strategy<Value = UnitOption> {
    let wild = "[\\PC\\[\\]=#; \\\\\n\r\t\0]{0,20}";
    let tame = prop_oneof!["[A-Z][a-z]{0,5}", wild];
    (tame.clone(), tame, wild)
        .prop_map(|(section, name, value)| UnitOption::new(section, name, value))
}

/// Text with what matters to the grammar in it.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[A-Za-z]{1,6}=",
        3 => "[A-Za-z /\"'$%é]{0,12}",
        4 => Just("\n".to_owned()),
        2 => Just("\\\n".to_owned()),
        1 => Just("\r\n".to_owned()),
        2 => "\n\\[[A-Za-z]{1,4}\\]\n",
        1 => "[#;\\\\=\\[\\] \t]{1,3}",
        1 => "\\PC{0,5}",
    ];
    let body = prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat());
    prop_oneof![4 => body.prop_map(|body| format!("[Service]\n{body}")), 1 => "\\PC*"]
}

proptest! {
    #[test]
    fn what_may_stand_in_a_file_is_written_and_read_back(options in prop::collection::vec(fine_option(), 0..24)) {
        let options: Vec<UnitOption> =
            options.into_iter().filter(|option| check(std::slice::from_ref(option)).is_ok()).collect();
        let read = parse(&write(&options), "x.service").map_err(|why| TestCaseError::fail(why.to_string()))?;
        prop_assert_eq!(read, as_in_a_file(&options));
    }

    #[test]
    fn what_was_read_is_written_and_read_back(text in any_text()) {
        if let Ok(options) = parse(&text, "x.service") {
            prop_assert_eq!(check(&options), Ok(()));
            let again = parse(&write(&options), "x.service").map_err(|why| TestCaseError::fail(why.to_string()))?;
            prop_assert_eq!(&again, &as_in_a_file(&options));
            prop_assert_eq!(write(&again), write(&options));
        }
    }

    #[test]
    fn a_fault_is_named_where_it_stands(text in any_text()) {
        if let Err(why) = parse(&text, "x.service") {
            let line = text.split('\n').nth(why.line - 1).expect("a line of the text");
            prop_assert!(why.column >= 1 && why.column <= line.chars().count() + 1, "{why}: {line:?}");
        }
    }

    #[test]
    fn no_option_adds_or_swallows_another(wild in any_option()) {
        let options = [wild.clone(), UnitOption::new("Last", "Last", "x")];
        match check(&options) {
            Ok(()) => {
                let read = parse(&write(&options), "x.service").map_err(|why| TestCaseError::fail(why.to_string()))?;
                prop_assert_eq!(read, as_in_a_file(&options));
            }
            Err(_) => {
                // Written all the same, it is one option or none, and never another one.
                let named = UnitOption { section: "S".into(), name: "N".into(), ..wild };
                let read = parse(&write(&[named, options[1].clone()]), "x.service");
                let read = read.map_err(|why| TestCaseError::fail(why.to_string()))?;
                prop_assert_eq!(read.len(), 2);
                prop_assert_eq!((&*read[0].name, &read[1]), ("N", &options[1]));
            }
        }
    }
}
