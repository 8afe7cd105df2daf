//! Lists: which objects, of which moment, how many at a time.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::events::kept_as;
use super::kinds::Kind;
use super::object::Key;
use super::refusal::Refusal;
use super::selector::Selectors;
use super::store::Store;

/// What a list asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    pub(super) namespace: Option<String>,
    pub(super) selectors: Selectors,
    /// At most that many; all if 0.
    pub(super) limit: usize,
    /// Where the page before ended.
    pub(super) resume: Option<String>,
    pub(super) moment: Moment,
}

/// The state of which moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Moment {
    /// The latest.
    #[default]
    Latest,
    /// Any: from the server's memory, where there are no pages.
    Any,
    /// Not older than this version.
    NotOlderThan(u64),
    /// Exactly this version.
    Exactly(u64),
}

/// One page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) objects: Vec<Arc<Value>>,
    /// The list's own metadata.
    pub(super) metadata: Value,
}

/// What a `continue` token says; nobody but this server reads it.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    /// The version of the first page.
    #[serde(rename = "rv")]
    revision: u64,
    namespace: String,
    name: String,
}

/// Lists.
pub(super) fn list(store: &Store, kind: &Kind, query: &Query) -> Result<Page, Refusal> {
    let kind = &kept_as(kind);
    let token = query.resume.as_deref().map(Token::read).transpose()?;
    let revision = revision(store, query.moment, token.as_ref())?;
    let namespace = query.namespace.as_deref();
    let Some(mut found) = store.all_at(kind, namespace, revision) else {
        let resume = token.map(|token| Token {
            revision: store.revision(),
            ..token
        });
        return Err(match resume {
            Some(resume) => Refusal::page_expired(resume.write()),
            None => Refusal::expired(revision, store.oldest()),
        });
    };
    if let Some(token) = token {
        let last = (token.namespace, token.name);
        found.retain(|key, _| (&key.namespace, &key.name) > (&last.0, &last.1));
    }
    found.retain(|_, object| query.selectors.matches(object));
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    let pages = query.limit > 0 && query.moment != Moment::Any;
    if pages && found.len() > query.limit {
        let left = found.len() - query.limit;
        let rest = found.keys().nth(query.limit).cloned();
        if let Some(rest) = rest {
            found.split_off(&rest);
        }
        if let Some(last) = found.keys().next_back() {
            metadata["continue"] = Token::after(revision, last).write().into();
        }
        if query.selectors.is_empty() {
            metadata["remainingItemCount"] = left.into();
        }
    }
    Ok(Page {
        objects: found.into_values().collect(),
        metadata,
    })
}

fn revision(store: &Store, moment: Moment, token: Option<&Token>) -> Result<u64, Refusal> {
    let current = store.revision();
    match (token, moment) {
        (Some(token), Moment::Latest) => Ok(token.revision),
        (Some(_), _) => Err(Refusal::bad_request(
            "specifying resource version is not allowed when using continue",
        )),
        (None, Moment::NotOlderThan(asked) | Moment::Exactly(asked)) if asked > current => {
            Err(Refusal::from_the_future(asked, current))
        }
        (None, Moment::Exactly(asked)) => Ok(asked),
        (None, Moment::Latest | Moment::Any | Moment::NotOlderThan(_)) => Ok(current),
    }
}

impl Token {
    fn after(revision: u64, last: &Key) -> Token {
        Token {
            revision,
            namespace: last.namespace.clone(),
            name: last.name.clone(),
        }
    }

    fn write(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    fn read(text: &str) -> Result<Token, Refusal> {
        let digits: Vec<char> = text.chars().collect();
        let byte = |pair: &[char]| {
            let pair: String = pair.iter().collect();
            u8::from_str_radix(&pair, 16).ok()
        };
        let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| Refusal::bad_request("continue key is not valid"))
    }
}
