#!/usr/bin/env bash
# What must hold before anything runs: formatting, clippy, rustdoc, with warnings denied.

. "$(dirname "$0")/lib.sh"
scripts/setup.sh build

cargo fmt --all --check
cargo clippy --locked --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
