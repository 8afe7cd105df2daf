//! Pages of describe requests. A token names the last resource of the page before, so that a page
//! is right also when resources come and go between two.

use crate::error::ApiError;

/// The paging parameters of a request.
pub(super) struct Paging<'a> {
    pub(super) max_results: Option<i32>,
    pub(super) next_token: Option<&'a str>,
    /// Whether resources are asked for by id, which excludes paging.
    pub(super) by_id: bool,
    /// The smallest and the largest page.
    pub(super) sizes: (i32, i32),
}

const PREFIX: &str = "after:";

impl Paging<'_> {
    /// The page of `members`, which are ordered by key, and the next page's token.
    pub(super) fn cut<T>(
        &self,
        members: Vec<(String, T)>,
    ) -> Result<(Vec<T>, Option<String>), ApiError> {
        let (min, max) = self.sizes;
        let size = match self.max_results {
            Some(_) if self.by_id => {
                return Err(ApiError::client(
                    "InvalidParameterCombination",
                    "The parameter MaxResults cannot be used with ids in the same request",
                ));
            }
            Some(size) if !(min..=max).contains(&size) => {
                return Err(ApiError::invalid(format!(
                    "Value ( {size} ) for parameter maxResults is invalid. Expecting a value \
                     between {min} and {max}."
                )));
            }
            Some(size) => usize::try_from(size).unwrap_or(usize::MAX),
            None if self.by_id => usize::MAX,
            None => usize::try_from(max).unwrap_or(usize::MAX),
        };
        let after = match self.next_token.filter(|token| !token.is_empty()) {
            None => None,
            Some(token) => Some(decode(token)?),
        };
        let mut rest = members
            .into_iter()
            .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
            .peekable();
        let mut page = Vec::new();
        let mut last = String::new();
        while page.len() < size {
            let Some((key, member)) = rest.next() else {
                break;
            };
            page.push(member);
            last = key;
        }
        let next = rest.peek().is_some().then(|| encode(&last));
        Ok((page, next))
    }
}

/// Hexadecimal, so that nobody reads a meaning into it.
fn encode(key: &str) -> String {
    let bytes = format!("{PREFIX}{key}").into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(token: &str) -> Result<String, ApiError> {
    let bytes: Option<Vec<u8>> = token
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            let text = std::str::from_utf8(pair).ok().filter(|t| t.len() == 2)?;
            u8::from_str_radix(text, 16).ok()
        })
        .collect();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let key = text.and_then(|text| text.strip_prefix(PREFIX).map(str::to_owned));
    key.ok_or_else(|| {
        ApiError::client(
            "InvalidNextToken",
            format!("The token '{token}' is invalid"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging<'a>(max_results: Option<i32>, next_token: Option<&'a str>) -> Paging<'a> {
        Paging {
            max_results,
            next_token,
            by_id: false,
            sizes: (5, 1000),
        }
    }

    fn members(count: usize) -> Vec<(String, usize)> {
        (0..count).map(|n| (format!("k-{n:03}"), n)).collect()
    }

    #[test]
    fn pages_together_hold_every_member_once() {
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let (page, next) = paging(Some(5), token.as_deref()).cut(members(12)).unwrap();
            assert!(page.len() <= 5);
            all.extend(page);
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(all, (0..12).collect::<Vec<_>>());
    }

    #[test]
    fn a_bad_size_or_token_is_refused() {
        for size in [0, 4, 1001] {
            let error = paging(Some(size), None).cut(members(1)).unwrap_err();
            assert_eq!(error.code, "InvalidParameterValue");
        }
        for token in ["x", "6b", "zz", "é"] {
            let error = paging(None, Some(token)).cut(members(1)).unwrap_err();
            assert_eq!(error.code, "InvalidNextToken", "{token}");
        }
        let mut by_id = paging(Some(5), None);
        by_id.by_id = true;
        let error = by_id.cut(members(1)).unwrap_err();
        assert_eq!(error.code, "InvalidParameterCombination");
    }
}
