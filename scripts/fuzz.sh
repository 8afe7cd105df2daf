#!/usr/bin/env bash
# Runs the fuzz targets of the plugin's input for so many seconds each (20 if not said), with inputs
# that no run before had. One that fails is printed and belongs into crates/cni/tests/fuzz/corpus.

. "$(dirname "$0")/lib.sh"
scripts/setup.sh build

VPC_FUZZ_SECONDS=${1:-20} cargo test --locked --package vpc-cni --test fuzz -- --nocapture
