#!/usr/bin/env bash
# Everything that can be tested on this machine: unit, property, namespace and end-to-end tests,
# and the judges from outside (boto3, aws, podman, cnitool). Arguments go to `cargo test`. The last line sums up:
#
#   N passed, N failed, N skipped
#
# A test that cannot run here says why and counts as skipped. With CI=true a skip is a failure.

. "$(dirname "$0")/lib.sh"
scripts/setup.sh build lab test
scripts/build.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export VPC_BIN_DIR="$PWD/bin"
export VPC_TEST_SKIPS="$work/skips"
export VPC_PEERS_VENV="$PWD/target/peers"
: >"$VPC_TEST_SKIPS"

scripts/peers/venv.sh "$VPC_PEERS_VENV" || rm -rf "$VPC_PEERS_VENV"
export VPC_CNITOOL="$PWD/target/conformance/cnitool"
scripts/conformance/cnitool.sh "$VPC_CNITOOL" ||
    printf 'cnitool could not be built; the tests that need it are skipped.\n'

if [ "$(id -u)" -ne 0 ]; then
    printf 'The tests make network namespaces, which needs root: using sudo.\n'
    runner="CARGO_TARGET_$(host_triple | tr 'a-z-' 'A-Z_')_RUNNER"
    export "$runner=$PWD/scripts/as-root.sh"
fi

status=0
cargo test --locked --workspace --no-fail-fast "$@" 2>&1 | tee "$work/log" || status=$?

# Sums `test result: ok. 3 passed; 0 failed; 0 ignored; …` over all test programs.
count() {
    awk -v what="$1" '/^test result: / {
        for (i = 2; i <= NF; i++) if ($i ~ "^" what) total += $(i - 1)
    } END { print total + 0 }' "$work/log"
}
skips=$(wc -l <"$VPC_TEST_SKIPS")
passed=$(($(count passed) - skips))
failed=$(count failed)
skipped=$(($(count ignored) + skips))

if [ "$skips" -gt 0 ]; then
    printf '\nSkipped:\n'
    sed 's/^/  /' "$VPC_TEST_SKIPS"
fi
# A test program that crashed or did not build has no result line.
targets=$(sed -n 's/^error: \([0-9]*\) targets* failed.*/\1/p' "$work/log")
if [ "$status" -ne 0 ] && [ "$failed" -lt "${targets:-1}" ]; then
    failed=${targets:-1}
fi
if [ "${CI:-}" = true ] && [ "$skipped" -gt 0 ]; then
    printf '\nIn CI nothing may be skipped.\n'
    status=1
fi
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ]
