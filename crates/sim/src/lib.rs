//! An honest small AWS: VPCs, subnets, instances and ENIs behind EC2's and IMDS's protocols.
//!
//! [`world`] is pure: it holds the resources and EC2's rules about them, and time is an argument.
//! [`fault`] decides which calls go wrong. [`http`] serves the world as the EC2 Query protocol and
//! as IMDSv2, and [`Sim`] is the handle that ties them together. [`fleet`] lets many nodes live in
//! one world, in virtual time.

pub mod calls;
mod error;
pub mod fault;
pub mod fleet;
pub mod http;
mod sim;
pub mod world;

pub use error::ApiError;
pub use http::{IdentifyBy, actions};
pub use sim::Sim;
pub use world::{
    ActionLimits, Bucket, Demand, Direction, FabricBranch, FabricEni, FabricInstance, FabricRule,
    FabricSubnet, FabricView, Occupation, PublicAddress, RateLimits, RunInstance, Secondary, Span,
    Traffic, World, WorldConfig,
};
