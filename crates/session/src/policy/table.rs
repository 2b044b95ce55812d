//! Policies as the shell hands them over: words and names.
//!
//! ```text
//! words    u32 flags                            bit 0: extensions that are not listed are hidden
//!                                               bit 1: only for clients of another machine
//!          u32 flags                            for each extension; bit 0: it is hidden
//!                                               bits 8..: one more than its last request, later ones are refused
//!          rules                                in order, those of one request one after the other
//! rule     group, opcode, action, error, label  0 is the core protocol, n the extension n - 1
//!          number of tests, tests
//! test     subject, ask, first, second, three, four, five
//! ```
//! Nothing in a table is trusted: what makes no sense is an error, and nothing is indexed by it.

use std::fmt;

use crate::limits::EXTENSION_NAME_MAX;
use x11_wire::message::BAD_REQUEST;
use x11_wire::request::{LIST_EXTENSIONS, NO_OPERATION, QUERY_EXTENSION, has_reply};

use super::test::{Ask, Field, Subject, Test, Values};
use super::{Action, Glance, Group, Policy, REQUESTS, Request, Rule};

/// Most extensions, rules and tests of a policy; the presets have a third of that.
const EXTENSIONS_MAX: usize = 200;
const RULES_MAX: usize = 16_384;
/// Longest name of a machine in bytes: a text of that length can be held back until it is whole.
const MACHINE_BYTES_MAX: usize = 64;
/// Bytes behind the header that a test may look at: they are held back until they are there.
const OFFSET_MAX: u32 = 104;
/// The requests that set and read properties.
const CHANGE_PROPERTY: u8 = 18;
const GET_PROPERTY: u8 = 20;
/// `QueryKeymap`: the one request whose reply may be blanked. Its 40 bytes can be held until they are whole.
const QUERY_KEYMAP: u32 = 44;

/// Why a table is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// It ends in the middle.
    Truncated,
    /// A word has a value that means nothing.
    Word {
        /// What the word stands for.
        what: &'static str,
        /// Its value.
        value: u32,
    },
    /// It has more extensions, rules or names than a policy can have.
    TooLong,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the policy's table ends in the middle"),
            Self::Word { what, value } => write!(f, "the policy's table has a wrong {what} ({value})"),
            Self::TooLong => f.write_str("the policy has too many rules"),
        }
    }
}

impl std::error::Error for TableError {}

/// Reads a table word by word.
struct Words<'a>(std::slice::Iter<'a, u32>);

impl Words<'_> {
    fn next(&mut self) -> Result<u32, TableError> {
        self.0.next().copied().ok_or(TableError::Truncated)
    }

    fn below(&mut self, what: &'static str, limit: usize) -> Result<usize, TableError> {
        let value = self.next()?;
        Some(value as usize).filter(|value| *value < limit).ok_or(TableError::Word { what, value })
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, TableError> {
        let value = self.next()?;
        u8::try_from(value).map_err(|_| TableError::Word { what, value })
    }

    /// A field: its offset, or all ones for the detail byte, with its width in the upper half.
    fn field(&mut self) -> Result<Field, TableError> {
        let value = self.next()?;
        let (at, width) = (value & 0xffff, value >> 16);
        let detail = at == u32::from(super::test::DETAIL) && width == 1;
        let fits = detail || at <= OFFSET_MAX && matches!(width, 1 | 2 | 4);
        let (at, width) = (u16::try_from(at), u8::try_from(width));
        match (at, width) {
            (Ok(at), Ok(width)) if fits => Ok(Field { at, width }),
            _ => Err(TableError::Word { what: "offset", value }),
        }
    }

    fn offset(&mut self) -> Result<u16, TableError> {
        let value = self.next()?;
        let fits = value <= OFFSET_MAX;
        u16::try_from(value).ok().filter(|_| fits).ok_or(TableError::Word { what: "offset", value })
    }
}

impl Policy {
    /// Reads a table. `extensions`, `labels` and `atoms` are the names that its words number; `machine` is what the
    /// windows of its clients are marked with.
    pub fn from_table(
        words: &[u32],
        extensions: Vec<String>,
        labels: Vec<String>,
        atoms: Vec<String>,
        machine: String,
    ) -> Result<Self, TableError> {
        if machine.len() > MACHINE_BYTES_MAX {
            return Err(TableError::TooLong);
        }
        if extensions.len() > EXTENSIONS_MAX || labels.len() > RULES_MAX || atoms.len() > RULES_MAX {
            return Err(TableError::TooLong);
        }
        let mut words = Words(words.iter());
        let flags = words.next()?;
        let group = |name, flags: u32| Group {
            name,
            hidden: flags & 1 != 0,
            requests_known: usize::try_from(flags >> 8).ok().filter(|known| *known > 0).unwrap_or(REQUESTS),
            requests: vec![Request::default(); REQUESTS],
        };
        let mut groups = vec![group(String::new(), 0)];
        for name in extensions {
            if name.len() > EXTENSION_NAME_MAX {
                return Err(TableError::TooLong);
            }
            groups.push(group(name, words.next()?));
        }
        let mut policy = Self {
            hide_unlisted: flags & 1 != 0,
            only_elsewhere: flags & 2 != 0,
            groups,
            rules: vec![],
            tests: vec![],
            labels,
            atoms,
            machine,
            diverted: None,
            needs_requested: false,
        };
        while !words.0.as_slice().is_empty() {
            policy.add_rule(&mut words)?;
        }
        policy.settle();
        Ok(policy)
    }

    fn add_rule(&mut self, words: &mut Words<'_>) -> Result<(), TableError> {
        if self.rules.len() >= RULES_MAX {
            return Err(TableError::TooLong);
        }
        let group = words.below("group", self.groups.len())?;
        let opcode = words.byte("opcode")?;
        if group == 0 && (opcode >= 128 || matches!(opcode, QUERY_EXTENSION | LIST_EXTENSIONS | NO_OPERATION))
        {
            return Err(TableError::Word { what: "opcode", value: opcode.into() });
        }
        let (action, error) = (words.next()?, words.byte("error code")?);
        let action = action_of(action, error, group, opcode)?;
        let label = words.below("label", self.labels.len())?;
        let first = self.tests.len();
        for _ in 0..words.below("number of tests", 32)? {
            let test = self.test(words)?;
            self.needs_requested |= matches!(test.subject, Subject::Requested { .. });
            self.tests.push(test);
        }
        if action == Action::Divert {
            self.diverted = Some(self.selections_of_last_test()?);
        }
        let rule = Rule { action, label: u16::try_from(label).unwrap_or(0), tests: first..self.tests.len() };
        let at = self.rules.len();
        self.rules.push(rule);
        let requests = self.groups.get_mut(group).map(|group| &mut group.requests);
        if let Some(request) = requests.and_then(|requests| requests.get_mut(usize::from(opcode))) {
            if request.rules.is_empty() {
                request.rules = at..at + 1;
            } else if request.rules.end == at {
                request.rules.end += 1;
            } else {
                return Err(TableError::Word { what: "order of rules", value: opcode.into() });
            }
        }
        Ok(())
    }

    /// The selections that the last test asks for; as many atoms behind them stand for them.
    fn selections_of_last_test(&self) -> Result<(u16, u16), TableError> {
        match self.tests.last() {
            Some(&Test { ask: Ask::Atom { first, count }, .. })
                if usize::from(first) + 2 * usize::from(count) <= self.atoms.len() =>
            {
                Ok((first, count))
            }
            _ => Err(TableError::Word { what: "diversion", value: 0 }),
        }
    }

    fn test(&self, words: &mut Words<'_>) -> Result<Test, TableError> {
        let subject = match words.next()? {
            0 => Subject::Field(words.field()?),
            1 => {
                let (mask, at) = (words.field()?, words.offset()?);
                let bit = words.below("bit", 32)?;
                Subject::Value(Values { mask, at, bit: u8::try_from(bit).unwrap_or(0) })
            }
            2 => Subject::Xi2(words.offset()?),
            3 => Subject::Requested { window: words.offset()?, property: Some(words.offset()?) },
            4 => Subject::Requested { window: words.offset()?, property: None },
            value => return Err(TableError::Word { what: "subject", value }),
        };
        let (ask, negate) = (words.next()?, words.next()? != 0);
        let (low, high) = (words.next()?, words.next()?);
        let ask = match ask {
            0 => Ask::Class(low),
            1 => Ask::Bits(low),
            2 => Ask::OneOf(u64::from(high) << 32 | u64::from(low)),
            3 => match (u16::try_from(low), u16::try_from(high)) {
                (Ok(first), Ok(count)) if usize::from(first) + usize::from(count) <= self.atoms.len() => {
                    Ask::Atom { first, count }
                }
                _ => return Err(TableError::Word { what: "atom", value: low }),
            },
            4 => Ask::Above(low),
            value => return Err(TableError::Word { what: "question", value }),
        };
        if matches!(subject, Subject::Xi2(_)) && !matches!(ask, Ask::Bits(_)) {
            return Err(TableError::Word { what: "question", value: low });
        }
        Ok(Test { subject, ask, negate })
    }

    /// Refuses the requests that the policy's author did not know, and works out what the look at each of the others can
    /// begin with.
    fn settle(&mut self) {
        let Self { groups, rules, tests, labels, .. } = self;
        let label = u16::try_from(labels.len()).unwrap_or(u16::MAX);
        labels.push("deny a request that this version does not know".into());
        let unknown = rules.len()..rules.len() + 1;
        rules.push(Rule { action: Action::Deny(BAD_REQUEST), label, tests: 0..0 });
        for group in &mut *groups {
            for request in group.requests.iter_mut().skip(group.requests_known) {
                request.rules = unknown.clone();
            }
        }
        for request in groups.iter_mut().flat_map(|group| &mut group.requests) {
            let ruled = rules.get(request.rules.clone()).unwrap_or_default();
            request.need = ruled.iter().map(|rule| rule.action.need()).max().unwrap_or(0);
            let fields = tests_of(ruled, tests).iter().map(|test| test.subject.need()).max();
            request.need = request.need.max(fields.unwrap_or(0));
            request.glance = Glance::of(ruled, tests);
        }
    }
}

fn tests_of(rules: &[Rule], tests: &[Test]) -> Vec<Test> {
    rules.iter().flat_map(|rule| tests.get(rule.tests.clone()).unwrap_or_default()).copied().collect()
}

impl Glance {
    /// What keeps every rule from applying; `None` where there is a rule for which that can't be said.
    fn of(rules: &[Rule], tests: &[Test]) -> Option<Self> {
        let mut glance = Self::default();
        for rule in rules {
            let foreign = tests.get(rule.tests.clone())?.iter().find(|test| asks_for_foreign_id(test))?;
            glance.include(foreign.subject)?;
        }
        (!rules.is_empty()).then_some(glance)
    }

    fn include(&mut self, subject: Subject) -> Option<()> {
        match subject {
            Subject::Field(Field { at, width: 4 }) if at != super::test::DETAIL => {
                let ids = usize::from(self.ids);
                if !self.own.get(..ids)?.contains(&at) {
                    *self.own.get_mut(ids)? = at;
                    self.ids += 1;
                }
            }
            Subject::Value(Values { mask, bit, .. }) if self.values.is_none_or(|known| known.0 == mask) => {
                let bits = self.values.map_or(0, |known| known.1);
                self.values = Some((mask, bits | 1_u32.checked_shl(bit.into())?));
            }
            _ => return None,
        }
        Some(())
    }
}

fn asks_for_foreign_id(test: &Test) -> bool {
    matches!(*test, Test { ask: Ask::Class(set), negate: false, .. } if set & super::side::class::OWN == 0)
}

fn action_of(action: u32, error: u8, group: usize, opcode: u8) -> Result<Action, TableError> {
    let core = group == 0;
    match action {
        0 => Ok(Action::Allow),
        1 if error != 0 => Ok(Action::Deny(error)),
        2 if !core || !has_reply(opcode) => Ok(Action::Ignore),
        3 if core && u32::from(opcode) == QUERY_KEYMAP => Ok(Action::Blank),
        4 => Ok(Action::Strip),
        5 => Ok(Action::Observe),
        6 if core && opcode == CHANGE_PROPERTY => Ok(Action::Mark),
        7 => Ok(Action::Divert),
        8 if core && opcode == GET_PROPERTY => Ok(Action::Absent),
        value => Err(TableError::Word { what: "action", value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_limited_in_names_rules_and_the_mark_of_its_machine() {
        let table = |extensions: usize, labels: usize, rules: usize, machine: usize| {
            // One rule: group, opcode, action, error code, label, no tests.
            let rules = [0, 1, 0, 0, 0, 0].repeat(rules);
            let words = [vec![0; 1 + extensions], rules].concat();
            let extensions = vec![String::from("X"); extensions];
            Policy::from_table(&words, extensions, vec![String::new(); labels], vec![], "m".repeat(machine))
        };
        let max = (EXTENSIONS_MAX, RULES_MAX, RULES_MAX, MACHINE_BYTES_MAX);
        let (extensions, labels, rules, machine) = max;
        assert!(table(extensions, labels, rules, machine).is_ok());
        for (extensions, labels, rules, machine) in [
            (extensions + 1, labels, rules, machine),
            (extensions, labels + 1, rules, machine),
            (extensions, labels, rules + 1, machine),
            (extensions, labels, rules, machine + 1),
        ] {
            let refused = table(extensions, labels, rules, machine);
            assert!(matches!(refused, Err(TableError::TooLong)), "{:?}", refused.err());
        }
        let name =
            |bytes| Policy::from_table(&[0, 0], vec!["X".repeat(bytes)], vec![], vec![], String::new());
        assert!(name(EXTENSION_NAME_MAX).is_ok());
        assert!(matches!(name(EXTENSION_NAME_MAX + 1), Err(TableError::TooLong)));
    }
}
