//! The scripts of `oa completion`, in the shells that they are for.

#![allow(missing_docs)]

use std::process::Command;

fn script(shell: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_oa"))
        .args(["completion", shell])
        .env_remove("OA_URL")
        .env("OA_DATA_DIR", "/nonexistent")
        .output()
        .expect("oa runs");
    assert_eq!(output.status.code(), Some(0), "no node is needed");
    assert!(output.stderr.is_empty());
    String::from_utf8(output.stdout).expect("a script is text")
}

/// What bash offers when the words `line` are typed and the last one is to be completed.
fn offered(line: &[&str]) -> Vec<String> {
    let words = line.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let (word, before) = (line[line.len() - 1], line[line.len() - 2]);
    // What bash itself does at a press of the tab key: set the words, call the function, read its replies.
    let program = format!(
        "source /dev/stdin\n\
         function=$(complete -p oa | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n\
         COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))\n\
         $function oa '{word}' '{before}'\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("oa.bash");
    std::fs::write(&file, script("bash")).expect("a file");
    let stdin = std::fs::File::open(&file).expect("the script");
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-c", &program])
        .stdin(stdin)
        .output()
        .expect("bash is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_options() {
    assert_eq!(offered(&["oa", "dep"]), ["deploy"]);
    assert_eq!(
        offered(&["oa", "w"]),
        ["workflow", "workflows", "why"].map(str::to_owned).as_slice().to_vec()
    );
    assert_eq!(offered(&["oa", "workflow", "sh"]), ["show"]);
    assert_eq!(offered(&["oa", "deploy", "--rep"]), ["--repo"]);
    assert_eq!(offered(&["oa", "--output", "j"]), ["json"]);
    assert_eq!(offered(&["oa", "completion", "z"]), ["zsh"]);
}

#[test]
fn the_other_shells_get_scripts_of_their_own() {
    assert!(script("zsh").starts_with("#compdef oa"));
    assert!(script("fish").contains("complete -c oa"));
}
