//! The clients against servers on loopback ports. Nothing here leaves the machine.

#![allow(clippy::unwrap_used)]

mod budget;
mod cloudwatch;
mod credentials;
mod ec2_answers;
mod ec2_calls;
mod ec2_facts;
mod imds;
mod proxy;
mod raw;
mod refusals;
mod server;
