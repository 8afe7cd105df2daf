//! The CNI specification, 0.1.0 to 1.1.0: what a runtime passes in and what it gets back. Nothing
//! in here knows what the plugin does.

mod args;
mod conf;
mod env;
pub(crate) mod json;
mod output;
mod result;
mod version;

pub use args::CniArgs;
pub use conf::NetConf;
pub use env::{Environment, Sandbox, Verb};
pub use output::{ErrorObject, supported_versions};
pub use result::{CniResult, Interface, IpConfig};
pub use version::{SpecVersion, UnknownVersion};
