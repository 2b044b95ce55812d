//! `--name value` options of the commands.

use std::collections::BTreeMap;
use std::io;
use std::str::FromStr;

/// What the command line said. Words without `--` before them are kept in order.
#[derive(Debug, Default)]
pub struct Options {
    named: BTreeMap<String, String>,
    /// Words that belong to no option.
    pub words: Vec<String>,
}

impl Options {
    /// Parses arguments, without the program's name.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> io::Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix("--") {
                None => options.words.push(argument),
                Some(name) => {
                    let value = arguments.next();
                    let value = value.ok_or_else(|| invalid(format!("--{name} wants a value")))?;
                    options.named.insert(name.to_owned(), value);
                }
            }
        }
        Ok(options)
    }

    /// The value of `--name`, or `default` where it was not given.
    pub fn value<T: FromStr>(&self, name: &str, default: T) -> io::Result<T> {
        let Some(text) = self.named.get(name) else { return Ok(default) };
        text.parse().map_err(|_| invalid(format!("--{name} {text} makes no sense")))
    }

    /// `--display`, else `$DISPLAY`.
    pub fn display(&self) -> io::Result<String> {
        self.value("display", std::env::var("DISPLAY").unwrap_or_default())
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
