//! Faults of the simulated cloud on the command line.

use vpc_sim::fault::Fault;

/// The rules of one argument: a rule as JSON, or `@FILE` with a list of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Faults(pub(super) Vec<Fault>);

/// Reads an argument.
pub(super) fn faults(text: &str) -> Result<Faults, String> {
    let wrong = |error: serde_json::Error| {
        format!(
            "{error}; write a rule such as {{\"action\":\"CreateNetworkInterface\",\"probability\":0.3,\
             \"effect\":{{\"kind\":\"error\",\"code\":\"RequestLimitExceeded\",\"status\":503}}}}, or \
             @FILE with a list of them"
        )
    };
    let Some(file) = text.strip_prefix('@') else {
        let rule = serde_json::from_str(text).map_err(wrong)?;
        return Ok(Faults(vec![rule]));
    };
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read it: {error}"))?;
    serde_json::from_str(&text).map(Faults).map_err(wrong)
}

/// The rules as arguments for another `vpc-lab`.
pub(super) fn arguments(all: &[Faults]) -> impl Iterator<Item = String> {
    let rules = all.iter().flat_map(|faults| &faults.0);
    rules.filter_map(|rule| serde_json::to_string(rule).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: &str = r#"{"action":"AttachNetworkInterface","effect":{"kind":"lostResponse"}}"#;

    #[test]
    fn a_rule_or_a_file_of_rules_is_read() {
        let one = faults(LOST).unwrap();
        assert_eq!(one.0.len(), 1);
        let file = tempfile::NamedTempFile::new().unwrap();
        let delay = r#"{"probability":0.1,"effect":{"kind":"delay","millis":10000}}"#;
        std::fs::write(file.path(), format!("[{LOST},{delay}]")).unwrap();
        let two = faults(&format!("@{}", file.path().display())).unwrap();
        assert_eq!(two.0.len(), 2);
        let again: Vec<_> = arguments(std::slice::from_ref(&two))
            .map(|it| faults(&it).unwrap())
            .collect();
        let again: Vec<_> = again.into_iter().flat_map(|it| it.0).collect();
        assert_eq!(again, two.0);
    }

    #[test]
    fn what_is_no_rule_is_said_with_an_example() {
        for text in ["often", "{}", "@/nonexistent"] {
            assert!(faults(text).is_err(), "{text}");
        }
        assert!(faults("{}").unwrap_err().contains("RequestLimitExceeded"));
    }
}
