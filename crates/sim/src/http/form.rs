//! `application/x-www-form-urlencoded`, as it stands in query strings and bodies.

use crate::error::ApiError;

/// The names and values of a form.
///
/// # Errors
/// `MalformedQueryString` for a percent sign without two hexadecimal digits, or text that is not
/// UTF-8.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default());
            let value = decode(halves.next().unwrap_or_default());
            name.zip(value).ok_or_else(|| {
                ApiError::client(
                    "MalformedQueryString",
                    "The query string contains a syntax error",
                )
            })
        })
        .collect()
}

fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let form = parse(b"Action=CreateTags&Tag.1.Value=a%20b+c%3D%c3%a9&Empty=&Bare&&").unwrap();
        let expected = [
            ("Action", "CreateTags"),
            ("Tag.1.Value", "a b c=é"),
            ("Empty", ""),
            ("Bare", ""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(form, expected);
    }

    #[test]
    fn text_that_is_not_a_form_is_refused() {
        for bad in [&b"a=%"[..], b"a=%2", b"a=%zz", b"a=%ff", b"%+1=a"] {
            assert_eq!(parse(bad).unwrap_err().code, "MalformedQueryString");
        }
    }
}
