//! The fuzz targets on a stable compiler: a bounded number of inputs in every run of the tests.

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use oa_fuzz::mutate::Inputs;
use oa_fuzz::targets;

/// The seeds of a target, by name, so that the order is the same everywhere.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(directory).expect("every target has a corpus").flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a readable seed")).collect()
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Runs a target over its corpus and over what is made from it.
fn run(target: &str, runs: u64) {
    let (_, holds) = targets::ALL.iter().find(|(name, _)| *name == target).expect("a target");
    let (runs, seed) =
        (number("OA_FUZZ_RUNS").unwrap_or(runs), number("OA_FUZZ_SEED").unwrap_or(1));
    let seeds = corpus(target);
    let mut inputs = Inputs::new(seeds.clone(), seed);
    for at in 0..seeds.len() as u64 + runs {
        let seed = usize::try_from(at).ok().and_then(|at| seeds.get(at)).cloned();
        let input = seed.unwrap_or_else(|| inputs.make());
        if let Err(why) = catch_unwind(AssertUnwindSafe(|| holds(&input))) {
            eprintln!("{target}, input {at}; keep it as a seed: b\"{}\"", input.escape_ascii());
            resume_unwind(why);
        }
    }
}

#[test]
fn any_text_is_a_unit_file_or_refused() {
    run("unit_file", 40_000);
}

#[test]
fn any_bytes_are_the_body_of_a_put_or_refused() {
    run("put_body", 10_000);
}

#[test]
fn any_text_is_a_template_or_refused() {
    run("template", 60_000);
}

#[test]
fn any_bytes_are_a_frame_or_refused() {
    run("frame", 30_000);
}

#[test]
fn every_seed_belongs_to_a_target() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let names = fs::read_dir(directory).expect("the corpus").flatten();
    let mut names: Vec<_> =
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let mut targets: Vec<_> = targets::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    targets.sort();
    assert_eq!(names, targets);
}
