//! The messages, generated from the files in `proto/`.

/// Package `rpc`: plugin, daemon and network-policy agent (`proto/rpc.proto`).
mod rpc {
    // Generated code: its style is not ours to mend.
    #![allow(
        missing_docs,
        unused_qualifications,
        clippy::all,
        clippy::wildcard_enum_match_arm
    )]
    include!(concat!(env!("OUT_DIR"), "/rpc.rs"));
}

pub use rpc::*;

/// Package `grpc.health.v1` (`proto/health.proto`).
pub mod health {
    // Generated code: its style is not ours to mend.
    #![allow(
        missing_docs,
        unused_qualifications,
        clippy::all,
        clippy::wildcard_enum_match_arm
    )]
    include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
}

/// Package `vpc_cni` (`proto/node.proto`).
pub mod node {
    // Generated code: its style is not ours to mend.
    #![allow(
        missing_docs,
        unused_qualifications,
        clippy::all,
        clippy::wildcard_enum_match_arm
    )]
    include!(concat!(env!("OUT_DIR"), "/vpc_cni.rs"));
}
