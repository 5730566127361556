//! How the ledger app is told what to be. Written and read here, so that the two cannot drift apart.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How a release behaves that never gets ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeverReady {
    /// Its port refuses connections.
    Refuse,
    /// It accepts and never says a word.
    Hang,
    /// It answers 500.
    Error,
    /// It sends its answer's head one octet a second.
    Drip,
}

/// Answers that take longer than the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tail {
    /// So many of them, from 0 to 1.
    pub(crate) share: f64,
    /// By so much, to the millisecond.
    pub(crate) longer: Duration,
}

impl FromStr for Tail {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (share, ms) = text.split_once(':').ok_or(())?;
        Ok(Self {
            share: share.parse::<Share>()?.0,
            longer: Duration::from_millis(ms.parse().map_err(|_| ())?),
        })
    }
}

/// From 0 to 1.
struct Share(f64);

impl FromStr for Share {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let share: f64 = text.parse().map_err(|_| ())?;
        (0.0..=1.0)
            .contains(&share)
            .then_some(Self(share))
            .ok_or(())
    }
}

/// What the ledger app is to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// On 127.0.0.1; 0: any.
    pub(crate) port: u16,
    pub(crate) release: String,
    pub(crate) ledger: PathBuf,
    /// The port refuses connections for so long.
    pub(crate) boot_delay: Duration,
    pub(crate) never_ready: Option<NeverReady>,
    /// Before each answer.
    pub(crate) work: Duration,
    /// So many of its answers are 500, from 0 to 1.
    pub(crate) errors: f64,
    /// So many of its answers take so much longer.
    pub(crate) tail: Option<Tail>,
    pub(crate) up_path: String,
    /// Ends when standard input does: then no app outlives who started it, not even one that was killed.
    pub(crate) until_stdin_ends: bool,
}

/// A wrong argument.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ArgumentError {
    /// Not one of ours.
    #[error(
        "unknown argument {0}; known: --port N, --release ID, --ledger FILE, --boot-delay MS, \
         --never-ready refuse|hang|error|drip, --work MS, --errors SHARE, --tail SHARE:MS, --up-path PATH, \
         --until-stdin-ends"
    )]
    Unknown(String),
    /// The last one needs a value.
    #[error("{0} needs a value")]
    NoValue(String),
    /// The value makes no sense.
    #[error("{name} cannot be {value:?}")]
    Value {
        /// Of which argument.
        name: String,
        /// What was given.
        value: String,
    },
    /// Needed.
    #[error("{0} is needed")]
    Missing(&'static str),
}

impl Settings {
    pub(crate) fn parse(
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Self, ArgumentError> {
        let mut settings = Self {
            port: 0,
            release: String::new(),
            ledger: PathBuf::new(),
            boot_delay: Duration::ZERO,
            never_ready: None,
            work: Duration::ZERO,
            errors: 0.0,
            tail: None,
            up_path: "/up".to_owned(),
            until_stdin_ends: false,
        };
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            if name == "--until-stdin-ends" {
                settings.until_stdin_ends = true;
                continue;
            }
            let value = arguments.next();
            settings.set(name, value)?;
        }
        settings.complete()
    }

    fn set(&mut self, name: String, value: Option<String>) -> Result<(), ArgumentError> {
        let value = Value { name, value };
        match value.name.as_str() {
            "--port" => self.port = value.parsed()?,
            "--release" => self.release = value.word()?,
            "--ledger" => self.ledger = value.text()?.into(),
            "--boot-delay" => self.boot_delay = Duration::from_millis(value.parsed()?),
            "--never-ready" => self.never_ready = Some(value.parsed()?),
            "--work" => self.work = Duration::from_millis(value.parsed()?),
            "--errors" => self.errors = value.parsed::<Share>()?.0,
            "--tail" => self.tail = Some(value.parsed()?),
            "--up-path" => self.up_path = value.word()?,
            _ => return Err(ArgumentError::Unknown(value.name)),
        }
        Ok(())
    }

    fn complete(self) -> Result<Self, ArgumentError> {
        if self.release.is_empty() {
            return Err(ArgumentError::Missing("--release"));
        }
        if self.ledger.as_os_str().is_empty() {
            return Err(ArgumentError::Missing("--ledger"));
        }
        Ok(self)
    }

    /// What [`Settings::parse`] reads as these settings.
    pub(crate) fn to_arguments(&self) -> Vec<OsString> {
        let ms = |duration: Duration| duration.as_millis().to_string().into();
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |name: &str, value: OsString| arguments.extend([name.into(), value]);
        add("--port", self.port.to_string().into());
        add("--release", self.release.clone().into());
        add("--ledger", self.ledger.clone().into());
        add("--boot-delay", ms(self.boot_delay));
        add("--work", ms(self.work));
        add("--up-path", self.up_path.clone().into());
        add("--errors", self.errors.to_string().into());
        if let Some(Tail { share, longer }) = self.tail {
            add("--tail", format!("{share}:{}", longer.as_millis()).into());
        }
        if let Some(never_ready) = self.never_ready {
            add("--never-ready", never_ready.word().into());
        }
        if self.until_stdin_ends {
            arguments.push("--until-stdin-ends".into());
        }
        arguments
    }
}

/// An argument and what came after it.
struct Value {
    name: String,
    value: Option<String>,
}

impl Value {
    fn text(&self) -> Result<String, ArgumentError> {
        let missing = || ArgumentError::NoValue(self.name.clone());
        self.value.clone().ok_or_else(missing)
    }

    /// Text that can stand in a ledger line and in a field.
    fn word(&self) -> Result<String, ArgumentError> {
        let text = self.text()?;
        if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Ok(text);
        }
        Err(self.wrong(text))
    }

    fn parsed<T: FromStr>(&self) -> Result<T, ArgumentError> {
        let text = self.text()?;
        text.parse().map_err(|_| self.wrong(text))
    }

    fn wrong(&self, value: String) -> ArgumentError {
        let name = self.name.clone();
        ArgumentError::Value { name, value }
    }
}

impl NeverReady {
    const ALL: [Self; 4] = [Self::Refuse, Self::Hang, Self::Error, Self::Drip];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Hang => "hang",
            Self::Error => "error",
            Self::Drip => "drip",
        }
    }
}

impl FromStr for NeverReady {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let found = Self::ALL.into_iter().find(|it| it.word() == word);
        found.ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Settings, ArgumentError> {
        Settings::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let line = "--release v2 --ledger /tmp/l --port 8080 --boot-delay 250 --never-ready drip --work 3 --errors 0.25 --tail 0.5:40 --up-path /health \
                    --until-stdin-ends";
        let settings = parse(line).unwrap();
        let written = settings.to_arguments();
        let read = Settings::parse(written.into_iter().map(|it| it.into_string().unwrap()));
        assert_eq!(read, Ok(settings));
    }

    #[test]
    fn a_wrong_argument_is_named() {
        let value = |name: &str, value: &str| ArgumentError::Value {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        assert_eq!(parse("--port x"), Err(value("--port", "x")));
        assert_eq!(parse("--errors 2"), Err(value("--errors", "2")));
        assert_eq!(
            parse("--never-ready soon"),
            Err(value("--never-ready", "soon"))
        );
        assert_eq!(
            parse("--prot 1"),
            Err(ArgumentError::Unknown("--prot".into()))
        );
        assert_eq!(
            parse("--port"),
            Err(ArgumentError::NoValue("--port".into()))
        );
        assert_eq!(
            parse("--release v1"),
            Err(ArgumentError::Missing("--ledger"))
        );
    }
}
