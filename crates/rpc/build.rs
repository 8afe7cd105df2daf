//! Compiles the protocol files. No `protoc` is needed: protox is a compiler in Rust.

use std::error::Error;
use std::io;

const FILES: [&str; 3] = ["proto/rpc.proto", "proto/health.proto", "proto/node.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    // The server's half only where it is asked for: the plugin's build does without tonic.
    let with_server = std::env::var_os("CARGO_FEATURE_SERVER").is_some();
    let compiled: io::Result<()> = tonic_prost_build::configure()
        .build_client(false)
        .build_server(with_server)
        .build_transport(false)
        .compile_fds(descriptors);
    Ok(compiled?)
}
