//! One structured line per verb: what was asked, how it ended, where the time went.
//!
//! Where it goes in a file is `log_file`'s. A log that cannot be written never fails a
//! verb.

use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use vpc_model::Timestamp;

use crate::error::Error;
use crate::log_file;
use crate::spec::Verb;

/// Where lines go and which.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogSettings {
    /// Where.
    pub target: Target,
    /// Which.
    pub level: Level,
}

/// Where lines go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Standard error, which runtimes drop or log themselves.
    Stderr,
    /// The end of a file. Its folder must exist.
    File(PathBuf),
}

/// How much is logged: a line is written when it is at least this grave.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Every verb.
    Info,
    /// Verbs that met something to look at.
    Warn,
    /// Verbs that failed.
    Error,
}

/// The line in the making.
#[derive(Debug)]
pub struct Record {
    verb: Verb,
    started: Instant,
    settings: Option<LogSettings>,
    fields: Map<String, Value>,
    stages: Map<String, Value>,
    warnings: Vec<String>,
}

impl Record {
    /// Begins with the verb.
    #[must_use]
    pub fn begin(verb: Verb) -> Self {
        Self {
            verb,
            started: Instant::now(),
            settings: None,
            fields: Map::new(),
            stages: Map::new(),
            warnings: Vec::new(),
        }
    }

    /// Says where the line is to go. Without this it goes nowhere.
    pub fn send_to(&mut self, settings: LogSettings) {
        self.settings = Some(settings);
    }

    /// Adds a field.
    pub fn field(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// Notes something that did not fail the verb.
    pub fn warn(&mut self, what: String) {
        self.warnings.push(what);
    }

    /// Runs a stage of the verb and notes how long it took.
    pub fn stage<T>(&mut self, name: &str, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = work();
        let spent = self.stages.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.stages
            .insert(name.to_owned(), Value::from(spent + microseconds(begun)));
        result
    }

    /// Writes the line. Returns what belongs on standard error.
    #[must_use]
    pub fn finish(self, failure: Option<&Error>) -> String {
        let level = match failure {
            Some(_) => Level::Error,
            None if self.warnings.is_empty() => Level::Info,
            None => Level::Warn,
        };
        let Some(settings) = self
            .settings
            .clone()
            .filter(|settings| settings.level <= level)
        else {
            return String::new();
        };
        let line = self.line(level, failure, now());
        match settings.target {
            Target::Stderr => line,
            Target::File(path) => {
                log_file::append(&path, &line, log_file::LIMIT);
                String::new()
            }
        }
    }

    fn line(self, level: Level, failure: Option<&Error>, at: Timestamp) -> String {
        let level = match level {
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let mut line = json!({
            "ts": rfc3339(at),
            "level": level,
            "verb": self.verb.as_str(),
            "us": microseconds(self.started),
            "stagesUs": self.stages,
        });
        if let Value::Object(line) = &mut line {
            line.extend(self.fields);
            if !self.warnings.is_empty() {
                line.insert("warnings".to_owned(), Value::from(self.warnings));
            }
            if let Some(error) = failure {
                let cause = json!({ "code": error.code(), "msg": error.to_string(), "details": error.details() });
                line.insert("error".to_owned(), cause);
            }
        }
        format!("{line}\n")
    }
}

/// The time now.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn microseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// The moment in UTC, to the millisecond.
fn rfc3339(at: Timestamp) -> String {
    let (seconds, millis) = (at.as_millis() / 1000, at.as_millis() % 1000);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of year 0 in the proleptic Gregorian calendar; 400 years are 146,097
    // days. Years begin in March here, so that the leap day is the last of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_200_001, "2024-03-01T00:00:00.001Z"),
            (1_798_761_599_000, "2026-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(rfc3339(Timestamp::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_line_tells_verb_fields_stages_and_error() {
        let mut record = Record::begin(Verb::Add);
        record.field("pod", "default/web");
        record.stage("kernel", || ());
        record.warn("odd".to_owned());
        let line = record.line(Level::Error, Some(&Error::NoAddress), Timestamp::ZERO);
        let line: Value = serde_json::from_str(line.strip_suffix('\n').unwrap()).unwrap();
        assert_eq!(line["verb"], "ADD");
        assert_eq!(line["pod"], "default/web");
        assert_eq!(line["level"], "error");
        assert_eq!(line["error"]["code"], 11);
        assert_eq!(line["warnings"][0], "odd");
        assert!(line["stagesUs"]["kernel"].is_u64());
    }

    #[test]
    fn only_what_is_grave_enough_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugin.log");
        let finish = |level, failure| {
            let mut record = Record::begin(Verb::Del);
            record.send_to(LogSettings {
                target: Target::File(path.clone()),
                level,
            });
            record.finish(failure)
        };
        let _ = finish(Level::Error, None);
        assert!(!path.exists());
        let _ = finish(Level::Info, None);
        let _ = finish(Level::Error, Some(&Error::NoAddress));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }
}
