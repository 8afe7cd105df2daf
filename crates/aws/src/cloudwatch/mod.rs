//! CloudWatch, of which one call is used: `PutMetricData`, in the Query protocol of API version
//! 2010-08-01 (forms in, XML out; lists are `Name.member.1`).

mod form;

use std::collections::BTreeMap;

use vpc_model::Timestamp;

use crate::budget::{Budget, Call, Scope};
use crate::ec2::wire::read_document;
use crate::endpoint::Api;
use crate::error::{DecodeError, Error, ErrorKind};
use crate::retry::Repeat;
use crate::service::{ErrorDocument, Job, Service};
use crate::transport::TrustError;

pub use crate::service::ClientConfig;

/// The action, as forms and IAM policies name it.
pub(crate) const PUT_METRIC_DATA: &str = "PutMetricData";

/// Values per request. The API allows 1000 within 1 MB (CloudWatch API reference,
/// `PutMetricData`); with thirty long dimensions each, so many stay well below that.
const BATCH: usize = 150;

/// One value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// The metric's name, 1 to 255 characters.
    pub metric: String,
    /// What the value is of, for example `CLUSTER_ID`; at most 30.
    pub dimensions: BTreeMap<String, String>,
    /// When it was measured; `None` is when it arrives.
    pub at: Option<Timestamp>,
    /// The value; must be a number that is not infinite.
    pub value: f64,
    /// What it counts in.
    pub unit: Unit,
}

/// What a value counts in (`StandardUnit`, of which those are left out that a node cannot mean).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
    /// Hundredths.
    Percent,
    /// Nothing.
    None,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::Count => "Count",
            Unit::Bytes => "Bytes",
            Unit::Seconds => "Seconds",
            Unit::Milliseconds => "Milliseconds",
            Unit::Percent => "Percent",
            Unit::None => "None",
        }
    }
}

/// A client of CloudWatch. Clones share connections, credentials and budget.
#[derive(Debug, Clone)]
pub struct Client {
    service: Service,
}

impl Client {
    /// A client; nothing is sent yet. The configuration's endpoint must be that of
    /// [`Api::CloudWatch`].
    ///
    /// # Errors
    /// Certificate authorities that cannot be loaded, for an `https` endpoint.
    pub fn new(config: ClientConfig) -> Result<Self, TrustError> {
        Service::new(Api::CloudWatch, config).map(|service| Self { service })
    }

    /// The budget, for its counts.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        self.service.budget()
    }

    /// Stores values in a name space, for example `Kubernetes`. Values whose answer is lost are
    /// not sent again: CloudWatch would count them twice.
    ///
    /// # Errors
    /// A value that is not a number ([`ErrorKind::InvalidParameter`], nothing is sent), or the
    /// failure of a request; requests before it were carried out, later ones are not made.
    pub async fn put_metric_data(&self, name_space: &str, data: &[Datum]) -> Result<(), Error> {
        if data.iter().any(|datum| !datum.value.is_finite()) {
            return Err(self
                .service
                .error(PUT_METRIC_DATA, ErrorKind::InvalidParameter));
        }
        for batch in data.chunks(BATCH) {
            let job = Job {
                call: Call {
                    action: PUT_METRIC_DATA,
                    scope: Scope::Part,
                },
                body: form::form(name_space, batch).into(),
                repeat: Repeat::IfNotDone,
                read,
                read_error,
            };
            self.service.call(&job).await?;
        }
        Ok(())
    }
}

/// The acknowledgement, of which only its being one matters.
fn read(text: &str) -> Result<(), DecodeError> {
    #[derive(serde::Deserialize)]
    struct Acknowledged {}
    match read_document::<Acknowledged>("PutMetricDataResponse", text) {
        Ok(Acknowledged {}) => Ok(()),
        Err(error) => Err(DecodeError::of_document(error, text)),
    }
}

/// The error document of the Query protocol, other than EC2's.
fn read_error(text: &str) -> Result<ErrorDocument, DecodeError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document {
        error: Cause,
        #[serde(default)]
        request_id: String,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    #[derive(Default)]
    struct Cause {
        code: String,
        message: String,
    }
    let document = read_document::<Document>("ErrorResponse", text);
    let document = document.map_err(|error| DecodeError::of_document(error, text))?;
    Ok(ErrorDocument {
        code: document.error.code,
        message: document.error.message,
        request_id: document.request_id,
    })
}
