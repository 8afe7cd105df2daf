//! The CloudWatch client: one call, its answers and its refusals.

use std::collections::BTreeMap;

use crate::server::{Server, answer};
use vpc_aws::ErrorKind;
use vpc_aws::cloudwatch::{Client, ClientConfig, Datum, Unit};
use vpc_aws::credentials::CredentialSource;
use vpc_aws::endpoint::{Api, Endpoint};

const DONE: &str = "<PutMetricDataResponse \
    xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\"><ResponseMetadata><RequestId>r-1\
    </RequestId></ResponseMetadata></PutMetricDataResponse>";

#[tokio::test]
async fn values_arrive_in_batches_signed_for_cloudwatch() {
    let server = Server::start(|_, _| answer(200, DONE)).await;
    let data: Vec<Datum> = (0..151).map(|n| datum(f64::from(n))).collect();
    let client = client(&server.url);
    client.put_metric_data("Kubernetes", &data).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    for (name, value) in [
        ("Action", "PutMetricData"),
        ("Version", "2010-08-01"),
        ("Namespace", "Kubernetes"),
        ("MetricData.member.1.MetricName", "totalIPAddresses"),
        ("MetricData.member.1.Dimensions.member.1.Name", "CLUSTER_ID"),
        ("MetricData.member.1.Value", "150"),
        ("MetricData.member.1.Unit", "Count"),
    ] {
        assert_eq!(seen[1].param(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(seen[1].param("MetricData.member.2.MetricName"), None);
    assert!(
        seen[0]
            .header("authorization")
            .unwrap()
            .contains("/us-west-2/monitoring/")
    );
    let counts = client.budget().counts();
    assert_eq!(counts.values().next().unwrap().outcomes["ok"], 2);
}

#[tokio::test]
async fn a_refusal_names_the_permission_and_a_lost_answer_is_not_asked_for_again() {
    let server = Server::start(|number, _| match number {
        1 => answer(
            403,
            "<ErrorResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\"><Error>\
             <Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error>\
             <RequestId>r-2</RequestId></ErrorResponse>",
        ),
        2 => answer(
            500,
            "<ErrorResponse><Error><Code>InternalFailure</Code></Error></ErrorResponse>",
        ),
        _ => answer(200, "<html>hello</html>"),
    })
    .await;
    let client = client(&server.url);
    let error = client
        .put_metric_data("K", &[datum(1.0)])
        .await
        .unwrap_err();
    assert!(
        matches!(&error.kind, ErrorKind::Unauthorized { action } if action == "cloudwatch:PutMetricData"),
        "{error}"
    );
    assert!(error.to_string().contains("r-2"), "{error}");
    let error = client
        .put_metric_data("K", &[datum(1.0)])
        .await
        .unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Server), "{error}");
    let error = client
        .put_metric_data("K", &[datum(1.0)])
        .await
        .unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Decode(_)), "{error}");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn what_is_not_a_number_is_not_sent() {
    let server = Server::start(|_, _| answer(200, DONE)).await;
    for value in [f64::NAN, f64::INFINITY] {
        let data = [datum(1.0), datum(value)];
        let error = client(&server.url)
            .put_metric_data("K", &data)
            .await
            .unwrap_err();
        assert!(matches!(error.kind, ErrorKind::InvalidParameter), "{error}");
    }
    assert_eq!(server.seen().len(), 0);
}

fn datum(value: f64) -> Datum {
    Datum {
        metric: "totalIPAddresses".to_owned(),
        dimensions: BTreeMap::from([("CLUSTER_ID".to_owned(), "blue".to_owned())]),
        at: None,
        value,
        unit: Unit::Count,
    }
}

fn client(url: &str) -> Client {
    let vars = |name: &str| (name == "AWS_ENDPOINT_URL_CLOUDWATCH").then(|| url.to_owned());
    let endpoint = Endpoint::of_api(Api::CloudWatch, vars, "us-west-2").unwrap();
    let credentials = CredentialSource::fixed("AKIDEXAMPLE", "secret");
    Client::new(ClientConfig::new(endpoint, "us-west-2", credentials)).unwrap()
}
