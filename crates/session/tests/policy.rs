//! Policies: the table, as it is carried out, says what the rules say, whatever the request, byte order and form.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use session::{Next, Policy, Side};
use support::{EVERYTHING, Run};
use x11_wire::ByteOrder;

const BASE: u32 = 0x20_0000;
const MASK: u32 = 0x1f_ffff;
const COPY_AREA: u8 = 62;
const CHANGE_GC: u8 = 56;
const FREE_PIXMAP: u8 = 54;
const OPCODES: [u8; 3] = [COPY_AREA, CHANGE_GC, FREE_PIXMAP];
/// Where a list of values is in `ChangeGC`: its mask and its first value, in words.
const VALUES: (usize, usize) = (1, 2);

/// What a test asks of a word of the body, of a value of the list, or of the detail byte.
#[derive(Debug, Clone, Copy)]
enum Test {
    Class { word: usize, set: u32, negate: bool },
    ValueClass { bit: u8, set: u32 },
    Bits { word: usize, bits: u32 },
    Detail { set: u64 },
    Above { word: usize, limit: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Allow,
    Deny(u8),
    Ignore,
    /// Of the bits of its last test.
    Strip,
    Observe,
}

#[derive(Debug, Clone)]
struct Rule {
    opcode: u8,
    action: Action,
    tests: Vec<Test>,
}

/// A request, apart from how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    opcode: u8,
    detail: u8,
    body: Vec<u32>,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passes(Request),
    Denied(u8),
    Ignored,
}

fn class_of(id: u32) -> u32 {
    match id & !MASK {
        0 if id <= 1 => 1,
        0 => 4,
        // The client's own, and another one's of its side.
        BASE | 0x60_0000 => 2,
        _ => 8,
    }
}

fn holds(test: Test, request: &Request) -> bool {
    let word = |at: usize| request.body.get(at).copied();
    match test {
        Test::Class { word: at, set, negate } => word(at).is_some_and(|id| class_of(id) & set != 0) != negate,
        Test::ValueClass { bit, set } => {
            let Some(mask) = word(VALUES.0).filter(|mask| mask >> bit & 1 != 0) else { return false };
            let before = (mask & ((1 << bit) - 1)).count_ones() as usize;
            word(VALUES.1 + before).is_some_and(|id| class_of(id) & set != 0)
        }
        Test::Bits { word: at, bits } => word(at).is_some_and(|value| value & bits != 0),
        Test::Detail { set } => set.checked_shr(u32::from(request.detail) & 0x7f).is_some_and(|s| s & 1 != 0),
        Test::Above { word: at, limit } => word(at).is_some_and(|value| value > limit),
    }
}

/// What the rules say, read by the letter.
fn interpret(rules: &[Rule], mut request: Request) -> Outcome {
    for rule in rules.iter().filter(|rule| rule.opcode == request.opcode) {
        if !rule.tests.iter().all(|test| holds(*test, &request)) {
            continue;
        }
        match (rule.action, rule.tests.last()) {
            (Action::Allow, _) => break,
            (Action::Deny(code), _) => return Outcome::Denied(code),
            (Action::Ignore, _) => return Outcome::Ignored,
            (Action::Strip, Some(Test::Bits { word, bits })) => request.body[*word] &= !bits,
            (Action::Strip, _) => return Outcome::Denied(10),
            (Action::Observe, _) => {}
        }
    }
    Outcome::Passes(request)
}

fn words_of(test: Test) -> Vec<u32> {
    let field = |word: usize| u32::try_from(4 * word).unwrap() | 4 << 16;
    let detail = 0xffff | 1 << 16;
    match test {
        Test::Class { word, set, negate } => vec![0, field(word), 0, negate.into(), set, 0],
        Test::ValueClass { bit, set } => {
            vec![1, field(VALUES.0), u32::try_from(4 * VALUES.1).unwrap(), bit.into(), 0, 0, set, 0]
        }
        Test::Bits { word, bits } => vec![0, field(word), 1, 0, bits, 0],
        Test::Detail { set } => {
            vec![
                0,
                detail,
                2,
                0,
                u32::try_from(set & 0xffff_ffff).unwrap(),
                u32::try_from(set >> 32).unwrap(),
            ]
        }
        Test::Above { word, limit } => vec![0, field(word), 4, 0, limit, 0],
    }
}

fn compile(rules: &[Rule]) -> Policy {
    let mut words = vec![0];
    for opcode in OPCODES {
        for rule in rules.iter().filter(|rule| rule.opcode == opcode) {
            let (action, error) = match rule.action {
                Action::Allow => (0, 0),
                Action::Deny(code) => (1, code),
                Action::Ignore => (2, 0),
                Action::Strip => (4, 0),
                Action::Observe => (5, 0),
            };
            let tests: Vec<_> = rule.tests.iter().map(|test| words_of(*test)).collect();
            words.extend([0, opcode.into(), action, error.into(), 0, u32::try_from(tests.len()).unwrap()]);
            words.extend(tests.concat());
        }
    }
    Policy::from_table(&words, vec![], vec!["rule".into()], vec![], String::new()).unwrap()
}

/// A client under the policy, its set-up answered; another one of its side has the ids from 0x600000 on.
fn run(order: ByteOrder, policy: Policy) -> (Run, Run) {
    let (policy, side) = (Arc::new(policy), Arc::new(Side::default()));
    let client = |base: u32| {
        let mut run = Run::fresh(order, EVERYTHING);
        run.session.stand_on(&side);
        run.session.obey(&policy, vec![]);
        let mut reply = run.wire.set_up_reply();
        reply[12..16].copy_from_slice(&order.u32_bytes(base));
        reply[16..20].copy_from_slice(&order.u32_bytes(MASK));
        run.host(&reply);
        run.to_client.clear();
        run
    };
    (client(BASE), client(0x60_0000))
}

fn encode(order: ByteOrder, request: &Request, big: bool) -> Vec<u8> {
    let body: Vec<u8> = request.body.iter().flat_map(|word| order.u32_bytes(*word)).collect();
    let wire = support::Wire(order);
    let form = if big { support::Wire::big_request } else { support::Wire::request };
    form(wire, request.opcode, request.detail, &body)
}

fn id() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => Just(BASE + 7),
        1 => Just(0x60_0001_u32),
        1 => Just(0x40_0001_u32),
        1 => Just(0x123_u32),
        1 => 0..2_u32,
        1 => any::<u32>(),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let (word, set) = (0..4_usize, 1..16_u32);
    prop_oneof![
        3 => (word.clone(), set.clone(), prop::bool::weighted(0.1)).prop_map(|(word, set, negate)| Test::Class { word, set, negate }),
        1 => (0..23_u8, set).prop_map(|(bit, set)| Test::ValueClass { bit, set }),
        1 => (word.clone(), any::<u32>()).prop_map(|(word, bits)| Test::Bits { word, bits }),
        1 => any::<u64>().prop_map(|set| Test::Detail { set }),
        1 => (word, any::<u32>()).prop_map(|(word, limit)| Test::Above { word, limit }),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let action = prop_oneof![
        Just(Action::Allow),
        (1..18_u8).prop_map(Action::Deny),
        Just(Action::Ignore),
        Just(Action::Strip),
        Just(Action::Observe),
    ];
    let opcode = prop::sample::select(OPCODES.to_vec());
    (opcode, action, prop::collection::vec(test(), 0..3)).prop_map(|(opcode, action, tests)| Rule {
        opcode,
        action,
        tests,
    })
}

fn request() -> impl Strategy<Value = Request> {
    let opcode = prop::sample::select(OPCODES.to_vec());
    (opcode, any::<u8>(), prop::collection::vec(id(), 0..28)).prop_map(|(opcode, detail, body)| Request {
        opcode,
        detail,
        body,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_table_says_what_its_rules_say(rules in prop::collection::vec(rule(), 0..8), request in request(), big: bool,
                                       swapped: bool, split in 0..40_usize) {
        let order = if swapped { ByteOrder::Big } else { ByteOrder::Little };
        let (mut run, _other) = run(order, compile(&rules));
        if big {
            run.learn("BIG-REQUESTS", 133);
            run.client(&run.wire.request(133, 0, &[]));
            run.to_host.clear();
        }
        let bytes = encode(order, &request, big);
        let split = split.min(bytes.len());
        run.client(&bytes[..split]);
        run.client(&bytes[split..]);
        prop_assert_eq!(run.next, Next::Client);
        match interpret(&rules, request.clone()) {
            Outcome::Passes(expected) => prop_assert_eq!(&run.to_host, &encode(order, &expected, big)),
            Outcome::Ignored => prop_assert_eq!(&run.to_host[..2], &[127, 0]),
            Outcome::Denied(code) => {
                prop_assert_eq!(&run.to_host[..2], &[126, 0]);
                let sequence = usize::try_from(run.session.counters().requests).unwrap();
                run.host(&run.wire.error(sequence, 1, 126));
                prop_assert_eq!((run.to_client[1], run.to_client[10]), (code, request.opcode));
            }
        }
        prop_assert_eq!(run.to_host.len(), bytes.len());
    }

    #[test]
    fn no_words_make_the_table_panic(words in prop::collection::vec(prop_oneof![0..8_u32, any::<u32>()], 0..60)) {
        let names = || vec!["one".into(), "two".into()];
        let _ = Policy::from_table(&words, names(), names(), names(), "machine".into());
    }
}

/// Denies a `ChangeProperty` unless the other side asked for it.
fn asked_only() -> Policy {
    let words = [0, 0, 18, 1, 10, 0, 1, 3, 0, 4, 0, 1, 0, 0];
    Policy::from_table(&words, vec![], vec!["rule".into()], vec![], String::new()).unwrap()
}

#[test]
fn nothing_but_a_window_of_the_other_side_makes_a_request_for_a_selection_count() {
    support::both_orders(|order| {
        for (requestor, counts) in
            [(0x40_0001, true), (0x123, false), (BASE + 7, false), (0x60_0001, false), (0, false), (1, false)]
        {
            let (mut run, _other) = run(order, asked_only());
            // Owner, requestor, selection, target and property.
            let fields = [BASE + 7, requestor, 1, 31, 9].map(|word: u32| order.u32_bytes(word)).concat();
            let event = run.wire.message(30, 0, 0, &fields);
            run.host(&event);
            let change = Request { opcode: 18, detail: 0, body: vec![requestor, 9, 31, 8, 0] };
            let change = encode(order, &change, false);
            run.client(&change);
            assert_eq!(run.to_host == change, counts, "{requestor:#x}");
        }
    });
}
