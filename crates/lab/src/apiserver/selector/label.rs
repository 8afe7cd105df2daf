//! `labelSelector`: equality, sets and presence of labels.

use serde_json::Value;

use super::super::refusal::Refusal;

/// All of the requirements hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone)]
struct Requirement {
    label: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Present,
    Absent,
    In(Vec<String>),
    /// Also if the label is absent.
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

impl LabelSelector {
    /// Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2`.
    pub(crate) fn parse(selector: &str) -> Result<LabelSelector, Refusal> {
        terms(selector)
            .into_iter()
            .map(|term| requirement(term.trim()))
            .collect::<Result<_, _>>()
            .map(LabelSelector)
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|requirement| {
            let value = labels.get(&requirement.label).and_then(Value::as_str);
            requirement.test.holds(value)
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Test {
    fn holds(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        let among = |set: &[String]| value.is_some_and(|value| set.iter().any(|one| one == value));
        match self {
            Test::Present => value.is_some(),
            Test::Absent => value.is_none(),
            Test::In(set) => among(set),
            Test::NotIn(set) => !among(set),
            Test::Above(bound) => number().is_some_and(|number| number > *bound),
            Test::Below(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

/// The parts between the commas that are not inside parentheses.
fn terms(selector: &str) -> Vec<&str> {
    let mut inside = false;
    let parts = selector.split(|character| {
        match character {
            '(' => inside = true,
            ')' => inside = false,
            _ => {}
        }
        character == ',' && !inside
    });
    parts.filter(|part| !part.trim().is_empty()).collect()
}

fn requirement(term: &str) -> Result<Requirement, Refusal> {
    let number = |text: &str| text.trim().parse().map_err(|_| nonsense(term));
    let one = |text: &str| vec![text.trim().to_owned()];
    let (label, test) = if let Some((label, set)) = set(term, " notin ") {
        (label, Test::NotIn(set))
    } else if let Some((label, set)) = set(term, " in ") {
        (label, Test::In(set))
    } else if let Some((label, value)) = term.split_once("!=") {
        (label, Test::NotIn(one(value)))
    } else if let Some((label, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (label, Test::In(one(value)))
    } else if let Some((label, bound)) = term.split_once('>') {
        (label, Test::Above(number(bound)?))
    } else if let Some((label, bound)) = term.split_once('<') {
        (label, Test::Below(number(bound)?))
    } else if let Some(label) = term.strip_prefix('!') {
        (label, Test::Absent)
    } else {
        (term, Test::Present)
    };
    let label = label.trim();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if label.is_empty() || !label.bytes().all(allowed) {
        return Err(nonsense(term));
    }
    Ok(Requirement {
        label: label.to_owned(),
        test,
    })
}

fn set<'a>(term: &'a str, word: &str) -> Option<(&'a str, Vec<String>)> {
    let (label, set) = term.split_once(word)?;
    let set = set.trim().strip_prefix('(')?.strip_suffix(')')?;
    let values = set.split(',').map(|value| value.trim().to_owned());
    Some((label, values.collect()))
}

fn nonsense(term: &str) -> Refusal {
    Refusal::bad_request(format!("unable to parse requirement: {term:?}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_operator_tells_what_matches() {
        let object =
            json!({"metadata": {"labels": {"app": "web", "topology/zone": "a", "n": "5"}}});
        let matches = |selector: &str| LabelSelector::parse(selector).unwrap().matches(&object);
        for yes in [
            "",
            "app=web",
            "app==web,topology/zone=a",
            "app!=db",
            "other!=db",
            "app in (db, web),n",
            "app notin (db),!other",
            "other notin (a,b)",
            "n>4,n<6",
        ] {
            assert!(matches(yes), "{yes}");
        }
        for no in [
            "app=db",
            "app!=web",
            "other",
            "!app",
            "app in (db,api)",
            "app notin (db,web)",
            "n>5",
            "app<3",
            "app=web,other",
        ] {
            assert!(!matches(no), "{no}");
        }
        for bad in ["=a", "a in b,c", "a>b", "a b"] {
            assert!(LabelSelector::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_object_without_labels_has_none() {
        let object = json!({"metadata": {"name": "a"}});
        assert!(LabelSelector::parse("!app").unwrap().matches(&object));
        assert!(!LabelSelector::parse("app").unwrap().matches(&object));
    }
}
