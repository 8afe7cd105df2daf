//! EC2 and IMDS: wire forms, typed errors, the real clients.
//!
//! The only crate that knows how AWS writes things down. What leaves it are [`vpc_model`] types
//! and one [`Error`]; what enters it are settings and credentials. Callers depend on the two small
//! traits [`ec2::Ec2`] and [`imds::Imds`], which the clients here implement and a simulated AWS
//! can implement too. The wire structs of [`ec2::wire`] serve both ends of the EC2 protocol: the
//! client encodes requests and decodes responses with them, an emulator the reverse.
//!
//! ```text
//!  caller ── Ec2, Imds (traits, model types) ──► ec2::Client ─ convert ─ wire ─ budget ─ sign ─┐
//!                                                                                              ├─ http
//!                                               imds::Client ─ parse ─ token ────────────────┘
//!         ◄── Error { action, endpoint, kind } ── code table ◄── status, error document ◄──
//! ```

pub mod budget;
pub mod cloudwatch;
pub mod credentials;
pub mod ec2;
pub mod endpoint;
pub mod error;
pub mod imds;
mod proxy;
pub mod retry;
mod service;
mod transport;

pub use budget::{Budget, BudgetConfig};
pub use error::{Answer, DecodeError, Error, ErrorKind, TransportError};
pub use proxy::{Proxy, ProxyError};
pub use retry::{Repeat, RetryPolicy};
pub use service::Denied;
pub use transport::{Trust, TrustError};
