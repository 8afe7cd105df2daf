//! What the demo prints at the end: claims with what was measured and the verdict, and figures.

use std::fmt;

/// Whether a claim held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything measured agrees with it.
    Ok,
    /// Something measured contradicts it, or it could not be measured.
    Failed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Ok => "ok",
            Outcome::Failed => "FAILED",
        })
    }
}

/// One claim, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What is promised, a short sentence.
    pub claim: String,
    /// What was seen: numbers and addresses, or why it does not hold.
    pub measured: String,
    /// The judgment.
    pub outcome: Outcome,
}

impl Verdict {
    /// Judges `claim` by its check: `Ok` holds what was measured, `Err` what spoke against it.
    #[must_use]
    pub fn of<E: std::error::Error>(claim: &str, check: Result<String, E>) -> Verdict {
        let (measured, outcome) = match check {
            Ok(measured) => (measured, Outcome::Ok),
            Err(error) => (chain(&error), Outcome::Failed),
        };
        Verdict {
            claim: claim.to_owned(),
            measured,
            outcome,
        }
    }
}

/// A number worth knowing that no claim hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What was counted or timed.
    pub name: String,
    /// The number with its unit.
    pub value: String,
}

/// Everything a run of the demo found out. Its text is at most [`Report::width`] columns wide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// In the order they were judged.
    pub verdicts: Vec<Verdict>,
    /// Printed below the table.
    pub figures: Vec<Figure>,
    /// Columns to print in, at least 60.
    pub width: usize,
}

impl Report {
    /// Whether every claim held, and there was at least one.
    #[must_use]
    pub fn all_ok(&self) -> bool {
        !self.verdicts.is_empty() && self.verdicts.iter().all(|one| one.outcome == Outcome::Ok)
    }
}

/// The error and its sources, as one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

/// The widest the first column gets.
const CLAIM_WIDTH: usize = 52;

/// `FAILED`, the longest verdict.
const VERDICT_WIDTH: usize = 7;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claims = CLAIM_WIDTH.min(self.width / 2);
        let measured = self
            .width
            .saturating_sub(claims + VERDICT_WIDTH + 6)
            .max(10);
        let rule = format!(
            "{}-+-{}-+-{}",
            "-".repeat(claims),
            "-".repeat(measured),
            "-".repeat(VERDICT_WIDTH)
        );
        writeln!(
            f,
            "{:claims$} | {:measured$} | verdict",
            "claim", "measured"
        )?;
        writeln!(f, "{rule}")?;
        for verdict in &self.verdicts {
            let left = wrap(&verdict.claim, claims);
            let middle = wrap(&verdict.measured, measured);
            for line in 0..left.len().max(middle.len()) {
                let cell = |lines: &[String]| lines.get(line).cloned().unwrap_or_default();
                let outcome = if line == 0 {
                    verdict.outcome.to_string()
                } else {
                    String::new()
                };
                let (left, middle) = (cell(&left), cell(&middle));
                let text = format!("{left:claims$} | {middle:measured$} | {outcome}");
                writeln!(f, "{}", text.trim_end())?;
            }
        }
        writeln!(f, "{rule}")?;
        let names = self
            .figures
            .iter()
            .map(|one| one.name.chars().count())
            .max()
            .unwrap_or(0);
        for figure in &self.figures {
            let lines = wrap(&figure.value, self.width.saturating_sub(names + 2).max(10));
            for (index, line) in lines.iter().enumerate() {
                let name = if index == 0 { figure.name.as_str() } else { "" };
                writeln!(f, "{name:names$}  {line}")?;
            }
        }
        Ok(())
    }
}

/// Breaks text into lines of at most `width` characters, between words where it can.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        let used = line.chars().count();
        if used > 0 && used + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
        }
        while word.len() > width {
            lines.push(word.drain(..width).collect());
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(outcome: Outcome) -> Verdict {
        Verdict {
            claim: "a claim that goes on for more than one line of the table, as some do".into(),
            measured: "x".repeat(150),
            outcome,
        }
    }

    #[test]
    fn no_line_is_wider_than_asked_and_nothing_is_cut_off() {
        let report = Report {
            verdicts: vec![verdict(Outcome::Ok)],
            figures: vec![Figure {
                name: "calls".into(),
                value: "DescribeSomething 12, ".repeat(9),
            }],
            width: 80,
        };
        let text = report.to_string();
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert_eq!(text.matches('x').count(), 150);
        assert!(text.contains("some do"), "{text}");
        assert_eq!(text.matches("DescribeSomething").count(), 9);
    }

    #[test]
    fn one_failed_verdict_fails_the_report_and_so_does_having_none() {
        let mut report = Report {
            verdicts: vec![verdict(Outcome::Ok)],
            figures: Vec::new(),
            width: 80,
        };
        assert!(report.all_ok());
        report.verdicts.push(verdict(Outcome::Failed));
        assert!(!report.all_ok());
        report.verdicts.clear();
        assert!(!report.all_ok());
    }

    #[test]
    fn a_check_that_errs_fails_its_claim_with_the_whole_chain_of_reasons() {
        let source = std::io::Error::other("link is down");
        let error = crate::probe::Error::Socket {
            operation: "open a socket",
            source,
        };
        let judged = Verdict::of("it works", Err(error));
        assert_eq!(judged.outcome, Outcome::Failed);
        assert_eq!(judged.measured, "cannot open a socket: link is down");
    }
}
