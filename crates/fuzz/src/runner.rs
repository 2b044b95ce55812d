//! Replays what is kept, then tries new inputs until the time is over.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant, SystemTime};

use crate::mutate::mutate;
use crate::{INPUT_BYTES_MAX, Rng, Target, features};

/// Inputs to breed from at most; beyond it new ones take the place of old ones.
const POOL_MAX: usize = 2048;

/// Runs spent on making a failing input smaller.
const SHRINK_RUNS: usize = 2000;

/// How to fuzz.
#[derive(Debug, Clone)]
pub struct Options {
    /// Time for new inputs; zero only replays.
    pub budget: Duration,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Directory with a directory of kept inputs for each target.
    pub corpus: PathBuf,
    /// Where to write a failing input.
    pub failures: PathBuf,
}

impl Options {
    /// What the environment says, see the crate's documentation; failing inputs go to `failures`.
    pub fn from_env(failures: &Path) -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.trim().parse().ok());
        let clock = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self {
            budget: Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(5)),
            seed: number("FUZZ_SEED").unwrap_or(clock.as_secs() << 20 | u64::from(clock.subsec_micros())),
            corpus: Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus"),
            failures: failures.into(),
        }
    }
}

/// What was tried without finding anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Kept inputs replayed.
    pub replayed: usize,
    /// New inputs tried.
    pub tried: u64,
    /// New inputs that showed something new.
    pub interesting: usize,
}

/// A property that does not hold.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Name of the target.
    pub target: &'static str,
    /// Seed of the run.
    pub seed: u64,
    /// What the target's panic said.
    pub message: String,
    /// File with the input.
    pub path: PathBuf,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, seed, message, path } = self;
        write!(f, "{target} fails: {message}\n  input: {}\n  FUZZ_SEED={seed}", path.display())
    }
}

impl std::error::Error for Failure {}

/// Fuzzes `target`. Errors are a [`Failure`], or a corpus or an input file that cannot be read or written.
pub fn smoke(target: &Target, options: &Options) -> Result<Summary, Box<dyn std::error::Error>> {
    let kept = kept(&options.corpus.join(target.name))?;
    let mut pool = vec![];
    let mut seen = HashSet::new();
    for (path, input) in kept {
        try_input(target, &input).map_err(|message| failure(target, options, message, path))?;
        seen.extend(features::take());
        pool.push(input);
    }
    let replayed = pool.len();
    let mut rng = Rng::new(options.seed);
    let end = Instant::now() + options.budget;
    let (mut tried, mut interesting) = (0, 0);
    while Instant::now() < end {
        let input = next_input(target, &pool, &mut rng);
        if let Err(message) = try_input(target, &input) {
            let (input, message) = shrink(target, input, message, &mut rng);
            return Err(failure(target, options, message, write_input(target, options, &input)?).into());
        }
        tried += 1;
        let noted = features::take();
        if !noted.is_subset(&seen) {
            seen.extend(noted);
            interesting += 1;
            keep(&mut pool, input, &mut rng);
        }
    }
    Ok(Summary { replayed, tried, interesting })
}

fn kept(directory: &Path) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let entries: Result<Vec<_>, _> = fs::read_dir(directory)?.collect();
    let mut paths: Vec<_> = entries?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(&path).map(|input| (path, input))).collect()
}

fn next_input(target: &Target, pool: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    if pool.is_empty() || rng.one_in(4) {
        return (target.generate)(rng);
    }
    let (parent, other) = (rng.below(pool.len()), rng.below(pool.len()));
    mutate(target, &pool[parent], &pool[other], rng)
}

fn keep(pool: &mut Vec<Vec<u8>>, input: Vec<u8>, rng: &mut Rng) {
    if input.len() > INPUT_BYTES_MAX {
        return;
    }
    if pool.len() < POOL_MAX {
        pool.push(input);
    } else {
        let at = rng.below(pool.len());
        pool[at] = input;
    }
}

/// Runs one input; the panic's message if there is one.
fn try_input(target: &Target, input: &[u8]) -> Result<(), String> {
    silence_panics();
    let run = AssertUnwindSafe(|| {
        let _silent = Silent::new();
        (target.run)(input);
    });
    panic::catch_unwind(run).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
    })
}

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, panics of this thread print nothing: shrinking runs into thousands, and the last one is reported.
struct Silent;

impl Silent {
    fn new() -> Self {
        SILENT.set(true);
        Self
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        SILENT.set(false);
    }
}

/// Lets the panic hook pass by what [`Silent`] covers. The hook runs before the stack is unwound.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !SILENT.get() {
                loud(info);
            }
        }));
    });
}

/// Leaves out pieces and bytes as long as the input still fails.
fn shrink(target: &Target, input: Vec<u8>, message: String, rng: &mut Rng) -> (Vec<u8>, String) {
    let mut best = (input, message);
    for run in 0..SHRINK_RUNS {
        let mut input = best.0.clone();
        let wanted = if run % 2 == 0 { input.len() / 4 } else { 8 };
        let from = rng.below(input.len());
        let to = (from + 1 + rng.below(wanted)).min(input.len());
        input.drain(from..to);
        if let Err(message) = try_input(target, &input) {
            best = (input, message);
        }
    }
    best
}

fn write_input(target: &Target, options: &Options, input: &[u8]) -> std::io::Result<PathBuf> {
    fs::create_dir_all(&options.failures)?;
    let path = options.failures.join(format!("{}-{:016x}", target.name, Rng::of(input).next_u64()));
    fs::write(&path, input)?;
    Ok(path)
}

fn failure(target: &Target, options: &Options, message: String, path: PathBuf) -> Failure {
    Failure { target: target.name, seed: options.seed, message, path }
}
