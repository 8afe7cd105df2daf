//! The clients against servers on loopback ports. Nothing here leaves the machine.

#![allow(clippy::unwrap_used)]

mod credentials;
mod ec2_answers;
mod ec2_calls;
mod imds;
mod server;
