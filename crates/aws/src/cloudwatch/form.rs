//! Values as a form.

use url::form_urlencoded;

use super::{Datum, PUT_METRIC_DATA};

/// The version of the API.
const API_VERSION: &str = "2010-08-01";

/// The form of a request.
pub(super) fn form(name_space: &str, data: &[Datum]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", PUT_METRIC_DATA)
        .append_pair("Version", API_VERSION);
    form.extend_pairs(params(name_space, data)).finish()
}

fn params(name_space: &str, data: &[Datum]) -> Vec<(String, String)> {
    let mut params = vec![("Namespace".to_owned(), name_space.to_owned())];
    for (datum, number) in data.iter().zip(1..) {
        let mut add = |name: String, value: String| {
            params.push((format!("MetricData.member.{number}.{name}"), value));
        };
        add("MetricName".to_owned(), datum.metric.clone());
        for ((name, value), number) in datum.dimensions.iter().zip(1..) {
            add(format!("Dimensions.member.{number}.Name"), name.clone());
            add(format!("Dimensions.member.{number}.Value"), value.clone());
        }
        if let Some(at) = datum.at {
            add("Timestamp".to_owned(), at.to_string());
        }
        add("Value".to_owned(), datum.value.to_string());
        add("Unit".to_owned(), datum.unit.name().to_owned());
    }
    params
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;
    use vpc_model::Timestamp;

    use super::*;
    use crate::cloudwatch::Unit;

    fn datum() -> Datum {
        let dimensions = [("CLUSTER_ID", "blue"), ("NODE", "i-1")];
        let dimensions = dimensions.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Datum {
            metric: "assignIPAddresses".to_owned(),
            dimensions: BTreeMap::from(dimensions),
            at: Some(Timestamp::from_millis(1_800_000_000_000)),
            value: 12.5,
            unit: Unit::Count,
        }
    }

    #[test]
    fn every_parameter_is_in_the_service_model_with_its_type() {
        let text = include_str!("../../tests/data/cloudwatch-model.json");
        let model: Value = serde_json::from_str(text).unwrap();
        assert_eq!(model["metadata"]["apiVersion"], API_VERSION);
        let input = model["operations"][PUT_METRIC_DATA]["input"]
            .as_str()
            .unwrap();
        let params = params("Kubernetes", &[datum(), datum()]);
        assert_eq!(params.len(), 1 + 2 * 8);
        for (name, value) in &params {
            let found = shape_of(&model, input, name);
            let kind = found.unwrap_or_else(|| panic!("{name} is not in the model"));
            let fits = match kind {
                "double" => value.parse::<f64>().is_ok(),
                "timestamp" => value.ends_with('Z') && value.as_bytes()[10] == b'T',
                "string" => value.parse::<f64>().is_err(),
                _ => false,
            };
            assert!(fits, "{name} is {value:?} for a {kind}");
        }
        assert_eq!(shape_of(&model, input, "MetricData.1.MetricName"), None);
        assert_eq!(
            shape_of(&model, input, "Metricdata.member.1.MetricName"),
            None
        );
    }

    /// The type of a form parameter: structures join names with a dot, lists count `member`s
    /// (botocore `serialize.QuerySerializer`).
    fn shape_of<'a>(model: &'a Value, input: &str, name: &str) -> Option<&'a str> {
        let mut shape = &model["shapes"][input];
        let mut parts = name.split('.');
        while let Some(part) = parts.next() {
            let member = match shape["type"].as_str()? {
                "list" if part == "member" => {
                    parts.next()?.parse::<u32>().ok()?;
                    &shape["member"]
                }
                "structure" => &shape["members"][part],
                _ => return None,
            };
            shape = &model["shapes"][member["shape"].as_str()?];
        }
        shape["type"].as_str()
    }

    #[test]
    fn every_unit_is_one_cloudwatch_knows() {
        // `StandardUnit` of the service model, as far as it is used.
        let units = [
            Unit::Count,
            Unit::Bytes,
            Unit::Seconds,
            Unit::Milliseconds,
            Unit::Percent,
            Unit::None,
        ];
        let names = [
            "Count",
            "Bytes",
            "Seconds",
            "Milliseconds",
            "Percent",
            "None",
        ];
        assert_eq!(units.map(Unit::name), names);
    }
}
