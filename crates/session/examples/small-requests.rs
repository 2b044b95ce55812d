//! Small requests through a session, for an instruction counter: what a request costs is the difference between two counts,
//! divided by that of the requests.
//!
//! `small-requests COUNT [TABLE]`: COUNT times `ChangeGC`, `PolyPoint` and `NoOperation`, under the policy of the file TABLE, if any:
//! a line each of its words, extensions, number of rules, atoms and machine.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command says what it has done")]

use std::process::ExitCode;
use std::sync::Arc;

use session::{Carries, Marks, Offers, Policy, Session, Side};
use x11_wire::ByteOrder;

const ORDER: ByteOrder = ByteOrder::Little;
/// The client's ids: their first, and the bits that it may choose.
const IDS: (u32, u32) = (0x20_0000, 0x1f_ffff);
const GC: u32 = IDS.0 + 1;
const WINDOW: u32 = IDS.0 + 2;
/// Trios in a chunk: as many bytes as the bridge reads into a slot.
const TRIOS: usize = 2000;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let count = args.next().and_then(|count| count.parse().ok());
    let policy = args.next().map(|path| read_policy(&path)).transpose();
    match (count, policy) {
        (Some(count), Ok(policy)) => {
            println!("{}", run(count, policy));
            ExitCode::SUCCESS
        }
        (count, policy) => {
            eprintln!("small-requests COUNT [TABLE]: {count:?}, {:?}", policy.err());
            ExitCode::FAILURE
        }
    }
}

/// How many requests went through.
fn run(count: usize, policy: Option<Policy>) -> u64 {
    let mut session: Session<u32> = Session::new(ORDER, Carries::EVERYTHING, Offers::default());
    if let Some(policy) = policy {
        let atoms = (0..policy.atoms().len()).filter_map(|atom| u32::try_from(1000 + atom).ok()).collect();
        session.stand_on(&Arc::new(Side::default()));
        session.obey(&Arc::new(policy), atoms);
    }
    let mut marks = Marks::new();
    let _ = session.host_data(&mut set_up_reply(), &mut marks);
    let mut chunk = trio().repeat(TRIOS);
    for _ in 0..count.div_ceil(TRIOS) {
        session.client_data(&mut chunk, &mut marks);
    }
    session.counters().requests
}

/// A reply that lets the client in, with its ids, one pixmap format and no screen.
fn set_up_reply() -> Vec<u8> {
    let words: [u32; 12] = [1, 11, 10 << 16, 0, IDS.0, IDS.1, 0, 0x0100_0000, 0, 0, 0x0020_2018, 0];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn trio() -> Vec<u8> {
    let words: [u32; 9] = [
        // ChangeGC: the foreground.
        0x0004_0038,
        GC,
        4,
        0x00ab_cdef,
        // PolyPoint, and NoOperation.
        0x0004_0040,
        WINDOW,
        GC,
        0x0007_0007,
        0x0001_007f,
    ];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn read_policy(path: &str) -> Result<Policy, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let names =
        |line: &str| line.split('\t').filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let words = line()
        .split(' ')
        .map(str::parse)
        .collect::<Result<Vec<u32>, _>>()
        .map_err(|error| error.to_string())?;
    let extensions = names(line());
    let rules = line().parse().map_err(|_| "no number of rules")?;
    let atoms = names(line());
    Policy::from_table(&words, extensions, vec![String::new(); rules], atoms, line().into())
        .map_err(|error| error.to_string())
}
