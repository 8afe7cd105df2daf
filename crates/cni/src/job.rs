//! What ADD, DEL and CHECK are given.

use crate::ipamd::Ipamd;
use crate::log::Record;
use crate::policy::PolicyAgent;
use crate::spec::{Environment, NetConf, Sandbox};

/// One verb on one interface of one sandbox.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// The environment it came from.
    pub(crate) environment: &'a Environment,
    /// The network configuration.
    pub(crate) conf: &'a NetConf,
    /// The interface.
    pub(crate) sandbox: &'a Sandbox,
    /// The daemon.
    pub(crate) ipamd: Ipamd<'a>,
    /// The network-policy agent.
    pub(crate) policy: PolicyAgent,
    /// The line for the log.
    pub(crate) record: &'a mut Record,
}
