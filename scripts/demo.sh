#!/usr/bin/env bash
# Builds, then runs the demo as root. Exit status: the verdict.

. "$(dirname "$0")/lib.sh"
scripts/setup.sh build lab
scripts/build.sh

[ "$(id -u)" -eq 0 ] || printf 'The demo makes network namespaces, which needs root: using sudo.\n'
as_root "$PWD/bin/vpc-lab" demo "$@"
