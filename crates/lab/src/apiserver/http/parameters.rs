//! What stands behind the question mark.

use std::time::Duration;

use super::super::kinds::Kind;
use super::super::list::{self, Moment};
use super::super::refusal::Refusal;
use super::super::selector::{FieldSelector, LabelSelector, Selectors};
use super::super::view::View;
use super::super::watch::{self, Start};

/// How long a watch lasts that does not say.
const WATCH: Duration = Duration::from_secs(1800);

/// Names and values, in order.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn read(query: Option<&str>) -> Parameters {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Parameters(pairs.into_owned().collect())
    }

    /// The value of a parameter that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        let value = found.map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// Whether a parameter is true.
    pub(super) fn is_set(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    /// Whether nothing is to be written.
    pub(super) fn trial(&self) -> Result<bool, Refusal> {
        match self.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(Refusal::bad_request(format!(
                "invalid dryRun {other:?}: All is the only one"
            ))),
        }
    }

    /// The parameters of a list.
    pub(super) fn list(
        &self,
        kind: &Kind,
        namespace: Option<String>,
    ) -> Result<list::Query, Refusal> {
        Ok(list::Query {
            namespace,
            selectors: self.selectors(kind)?,
            limit: self.number("limit")?.unwrap_or(0),
            resume: self.get("continue").map(str::to_owned),
            moment: self.moment()?,
        })
    }

    /// The parameters of a watch.
    pub(super) fn watch(
        &self,
        view: View,
        namespace: Option<String>,
        streaming_lists: bool,
    ) -> Result<watch::Query, Refusal> {
        let seconds: Option<u64> = self.number("timeoutSeconds")?;
        let seconds = seconds.filter(|seconds| *seconds > 0);
        Ok(watch::Query {
            view,
            namespace,
            selectors: self.selectors(&view.kind)?,
            start: self.start(streaming_lists)?,
            bookmarks: self.is_set("allowWatchBookmarks"),
            timeout: seconds.map_or(WATCH, Duration::from_secs),
        })
    }

    fn start(&self, streaming_lists: bool) -> Result<Start, Refusal> {
        let version = self.version()?;
        let rule = self.get("resourceVersionMatch");
        let forbidden = Refusal::list_option;
        match self.get("sendInitialEvents") {
            Some(_) if !streaming_lists => Err(forbidden(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for watch unless the WatchList feature gate is \
                 enabled",
            )),
            Some(_) if rule != Some("NotOlderThan") => Err(forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            )),
            None if rule.is_some() => Err(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )),
            Some("true" | "1") => Ok(Start::PresentThenMark),
            Some(_) | None => Ok(match version {
                None | Some(0) => Start::Present,
                Some(version) => Start::After(version),
            }),
        }
    }

    fn moment(&self) -> Result<Moment, Refusal> {
        let rule = self.get("resourceVersionMatch");
        match (self.version()?, rule) {
            (None, None) => Ok(Moment::Latest),
            (None, Some(_)) => Err(Refusal::list_option(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            )),
            (Some(0), Some("Exact")) => Err(Refusal::list_option(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            )),
            (Some(0), _) => Ok(Moment::Any),
            (Some(version), Some("Exact")) => Ok(Moment::Exactly(version)),
            (Some(version), None | Some("NotOlderThan")) => Ok(Moment::NotOlderThan(version)),
            (Some(_), Some(_)) => Err(Refusal::list_option(
                "resourceVersionMatch",
                "it is neither Exact nor NotOlderThan",
            )),
        }
    }

    fn version(&self) -> Result<Option<u64>, Refusal> {
        let version = self.get("resourceVersion");
        let version = version.map(str::parse).transpose();
        version.map_err(|_| Refusal::bad_request("invalid resource version: it is no number"))
    }

    fn selectors(&self, kind: &Kind) -> Result<Selectors, Refusal> {
        Ok(Selectors {
            labels: LabelSelector::parse(self.get("labelSelector").unwrap_or_default())?,
            fields: FieldSelector::parse(kind, self.get("fieldSelector").unwrap_or_default())?,
        })
    }

    fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, Refusal> {
        let number = self.get(name).map(str::parse).transpose();
        number.map_err(|_| Refusal::bad_request(format!("{name} is no number")))
    }
}
