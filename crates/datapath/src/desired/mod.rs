//! What the kernel should have, from facts. Pure: nothing here looks at anything.

pub(crate) mod eni;
pub(crate) mod host;
pub(crate) mod nat;
pub(crate) mod pod;
