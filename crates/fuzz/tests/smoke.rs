//! The fuzz smoke: kept inputs, then as many new ones as there is time for.

// Helpers of tests may fail loudly, and say what was done; clippy only sees that in the test functions themselves.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use fuzz::{Options, Rng, Summary, TARGETS, Target, mutate, script, smoke, targets};

/// One target after the other: each has its time to itself, also on one CPU.
static TURN: Mutex<()> = Mutex::new(());

fn options() -> Options {
    Options::from_env(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-failures"))
}

fn fuzz(name: &str) {
    let turn = TURN.lock();
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    match smoke(target, &options()) {
        Ok(Summary { replayed, tried, interesting }) => {
            println!("{name}: {replayed} replayed, {tried} tried, {interesting} of them interesting");
        }
        Err(failure) => panic!("{failure}"),
    }
    drop(turn);
}

#[test]
fn cross_domain_commands_hold_on_hostile_bytes() {
    fuzz("cross_domain_commands");
}

#[test]
fn x11_wire_holds_on_hostile_bytes() {
    fuzz("x11_wire");
}

#[test]
fn the_device_holds_on_hostile_guests() {
    fuzz("gpu");
}

#[test]
fn the_file_system_holds_on_hostile_guests() {
    fuzz("fs");
}

#[test]
fn a_policy_holds_on_hostile_tables_and_requests() {
    fuzz("policy");
}

#[test]
fn a_session_holds_on_hostile_conversations() {
    fuzz("session");
}

#[test]
fn each_target_has_kept_inputs_and_each_directory_a_target() {
    let corpus = options().corpus;
    for target in TARGETS {
        assert!(corpus.join(target.name).read_dir().unwrap().next().is_some(), "{}", target.name);
    }
    for directory in corpus.read_dir().unwrap() {
        let name = directory.unwrap().file_name();
        assert!(TARGETS.iter().any(|target| *target.name == *name), "{name:?} has no target");
    }
}

#[test]
fn a_script_comes_back_from_its_bytes() {
    let mut rng = Rng::new(7);
    for _ in 0..100 {
        let input = script::generate(&mut rng);
        assert_eq!(script::Script::decode(&input).encode(), input);
    }
}

#[test]
fn mutation_is_the_same_for_the_same_seed() {
    let target = &TARGETS[0];
    let inputs = |seed| {
        let mut rng = Rng::new(seed);
        let (a, b) = ((target.generate)(&mut rng), (target.generate)(&mut rng));
        (0..50).map(|_| mutate::mutate(target, &a, &b, &mut rng)).collect::<Vec<_>>()
    };
    assert_eq!(inputs(1), inputs(1));
    assert_ne!(inputs(1), inputs(2));
}

#[test]
fn a_fault_is_found_made_small_and_written_down_with_its_seed() {
    fn faulty(data: &[u8]) {
        assert!(!data.windows(2).any(|pair| pair == [4, 0]), "a SEND on ring 0");
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-self-test");
    std::fs::create_dir_all(directory.join("faulty")).unwrap();
    let target = Target { name: "faulty", run: faulty, ..TARGETS[0] };
    let options = Options {
        budget: Duration::from_secs(20),
        seed: 1,
        corpus: directory.clone(),
        failures: directory.join("out"),
    };
    let failure = smoke(&target, &options).unwrap_err().downcast::<fuzz::Failure>().unwrap();
    let kept = std::fs::read(&failure.path).unwrap();
    assert_eq!(kept, [4, 0], "nothing but the fault is left");
    assert!(failure.to_string().contains("FUZZ_SEED=1") && failure.message.contains("a SEND on ring 0"));
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn empty_inputs_are_inputs() {
    targets::cross_domain_commands(&[]);
    targets::x11_wire(&[]);
    targets::session(&[]);
    targets::gpu(&[]);
    targets::fs(&[]);
    targets::policy(&[]);
}
