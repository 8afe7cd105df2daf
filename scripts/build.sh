#!/usr/bin/env bash
# Builds the release programs into bin/: static, so that one file runs on any node image.

. "$(dirname "$0")/lib.sh"
scripts/setup.sh build

triple=$(host_triple)
# For the target only (hence --target below): proc macros must stay dynamic libraries.
flags="CARGO_TARGET_$(printf '%s' "$triple" | tr 'a-z-' 'A-Z_')_RUSTFLAGS"
env "$flags=-C target-feature=+crt-static -C relocation-model=static" \
    cargo build --locked --release --target "$triple" \
    --package vpc-ipamd --package vpc-cni --package vpc-vpcctl --package vpc-lab --bins

mkdir -p bin
for program in ipamd aws-cni vpcctl vpc-lab; do
    # Replaced by rename: a program that runs keeps its file.
    cp "target/$triple/release/$program" "bin/.$program.new"
    mv -f "bin/.$program.new" "bin/$program"
done
