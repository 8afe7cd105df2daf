#!/usr/bin/env bash
# Runs one test program as root: cargo's runner when `make test` is not started by root. Tests
# make network namespaces; cargo itself and everything it builds stays the caller's.

exec sudo --preserve-env=CI,VPC_BIN_DIR,VPC_TEST_SKIPS,VPC_PEERS_VENV,VPC_CNITOOL,CARGO_MANIFEST_DIR,RUST_BACKTRACE -- "$@"
