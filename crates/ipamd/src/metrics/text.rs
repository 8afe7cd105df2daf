//! Prometheus' text format, version 0.0.4: families with their samples, from the list of series.

use std::fmt::{Display, Write};

use super::catalogue::{Kind, Series};
use super::tally::{Counter, Histogram, Label, Per};

/// The format's content type.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text as far as it is written. Writing to a `String` does not fail.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.0
    }

    /// Begins a family. Its samples follow before the next one begins.
    pub(super) fn family(&mut self, series: &'static Series) -> Family<'_> {
        let Series { name, help, .. } = series;
        let _ = writeln!(self.0, "# HELP {name} {}", escape(help, false));
        let _ = writeln!(self.0, "# TYPE {name} {}", series.kind.as_str());
        Family {
            out: &mut self.0,
            series,
        }
    }

    /// A family of one sample without labels.
    pub(super) fn single(&mut self, series: &'static Series, value: impl Display) {
        self.family(series).sample(&[], value);
    }

    /// A counter family with one label.
    pub(super) fn counters<L: Label>(&mut self, series: &'static Series, per: &Per<L, Counter>) {
        let mut family = self.family(series);
        for (label, count) in per.iter() {
            family.sample(&[label.text()], count.get());
        }
    }

    /// A histogram family with one label.
    pub(super) fn histograms<L: Label>(
        &mut self,
        series: &'static Series,
        per: &Per<L, Histogram>,
    ) {
        let mut family = self.family(series);
        for (label, histogram) in per.iter() {
            family.durations(&[label.text()], histogram);
        }
    }
}

/// A family that is being written.
pub(super) struct Family<'a> {
    out: &'a mut String,
    series: &'static Series,
}

impl Family<'_> {
    /// A sample of a gauge or a counter. `labels` are the values, in the series' order.
    pub(super) fn sample(&mut self, labels: &[&str], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// A summary without quantiles.
    pub(super) fn summary(&mut self, labels: &[&str], sum: f64, count: u64) {
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, count);
    }

    /// A histogram of the daemon's own bounds.
    pub(super) fn durations(&mut self, labels: &[&str], histogram: &Histogram) {
        let counts = histogram.counts();
        self.histogram(labels, &super::tally::BOUNDS, &counts, histogram.sum());
    }

    /// A histogram: upper bounds, and the buckets' counts each for itself, one more than bounds.
    pub(super) fn histogram(&mut self, labels: &[&str], bounds: &[f64], counts: &[u64], sum: f64) {
        let mut total = 0;
        let bounds = bounds.iter().map(ToString::to_string);
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(counts) {
            total += count;
            self.line("_bucket", labels, Some(&bound), total);
        }
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, total);
    }

    fn line(&mut self, suffix: &str, values: &[&str], le: Option<&str>, value: impl Display) {
        debug_assert_eq!(
            values.len(),
            self.series.labels.len(),
            "{}",
            self.series.name
        );
        let _ = write!(self.out, "{}{suffix}", self.series.name);
        let names = self.series.labels.iter().copied();
        let pairs = names.zip(values.iter().copied());
        let mut open = '{';
        for (name, value) in pairs.chain(le.map(|bound| ("le", bound))) {
            let _ = write!(self.out, "{open}{name}=\"{}\"", escape(value, true));
            open = ',';
        }
        if open == ',' {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }
}

impl Kind {
    /// The format's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Summary => "summary",
            Kind::Histogram => "histogram",
        }
    }
}

fn escape(text: &str, quotes: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '"' if quotes => escaped.push_str("\\\""),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    static SERIES: Series = Series {
        name: "test_seconds",
        kind: Kind::Histogram,
        labels: &["who"],
        help: "Back\\slash.",
        upstream: false,
    };

    #[test]
    fn buckets_add_up_and_odd_label_values_are_escaped() {
        let mut text = Exposition::default();
        let mut family = text.family(&SERIES);
        family.histogram(&["a\"b\\c\nd"], &[0.5, 1.0], &[2, 0, 1], 4.25);
        let label = r#"who="a\"b\\c\nd""#;
        let expected = format!(
            "# HELP test_seconds Back\\\\slash.\n# TYPE test_seconds histogram\n\
             test_seconds_bucket{{{label},le=\"0.5\"}} 2\n\
             test_seconds_bucket{{{label},le=\"1\"}} 2\n\
             test_seconds_bucket{{{label},le=\"+Inf\"}} 3\n\
             test_seconds_sum{{{label}}} 4.25\ntest_seconds_count{{{label}}} 3\n"
        );
        assert_eq!(text.finish(), expected);
    }
}
