//! STATUS: could an ADD succeed now? ipamd knows.

use std::path::Path;
use std::time::Duration;

use vpc_rpc::{Health, health};

use crate::error::Error;

/// Asks ipamd.
pub(crate) fn status(socket: &Path, deadline: Duration) -> Result<(), Error> {
    match health::check(socket, deadline).map_err(Error::NotAvailable)? {
        Health::Serving => Ok(()),
        Health::NotServing { reason } if reason.is_empty() => Err(Error::NotReady(
            "it gives no reason; see its log".to_owned(),
        )),
        Health::NotServing { reason } => Err(Error::NotReady(reason)),
    }
}
