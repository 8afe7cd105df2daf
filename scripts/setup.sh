#!/usr/bin/env bash
# Installs what is missing and nothing else.
#
#   scripts/setup.sh [build] [lab] [test]      without arguments: all of them
#
# build: a C linker with static libc; checks for Rust, which it does not install.
# lab:   ip and nft, with which vpc-lab builds its VPC; ping, to play with.
# test:  what the tests judge by: strace, Python with venv, podman, containerd, Go for cnitool;
#        iptables, for other programs' rules.

. "$(dirname "$0")/lib.sh"

missing=()

# need PACKAGE COMMAND...: notes the package when the command fails.
need() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

has_static_libc() {
    [ -e "$(cc -print-file-name=libc.a)" ]
}

check_rust() {
    local wanted how have
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    how="see https://rustup.rs: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
        die "Rust is missing: get cargo and rustc $wanted or newer with rustup ($how)."
    fi
    have=$(rustc --version | cut -d ' ' -f 2)
    [ "$(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ] ||
        die "rustc $have is too old: $wanted or newer is needed, by \`rustup update stable\` ($how)."
}

want_build() {
    need build-essential command -v cc
    command -v cc >/dev/null && need libc6-dev has_static_libc
    return 0
}

want_lab() {
    need iproute2 command -v ip
    need nftables command -v nft
    need iputils-ping command -v ping
}

want_test() {
    need strace command -v strace
    need iptables command -v iptables-nft-restore
    need python3-venv python3 -c 'import ensurepip, venv'
    # Runtimes that run the plugin, and what their judge is built with.
    need podman command -v podman
    need runc command -v runc
    need containerd command -v containerd
    need containernetworking-plugins test -x /usr/lib/cni/portmap
    need busybox-static command -v busybox
    need golang-go command -v go
    need golang-github-appc-cni-dev test -d /usr/share/gocode/src/github.com/containernetworking/cni
}

[ "$(uname -s)" = Linux ] || die "This needs Linux: it is made of network namespaces."
[ $# -gt 0 ] || set -- build lab test
# First what only the user can do.
case " $* " in
    *" build "*) check_rust ;;
esac
for group in "$@"; do
    case $group in
        build) want_build ;;
        lab) want_lab ;;
        test) want_test ;;
        *) die "scripts/setup.sh: unknown group '$group'; allowed: build, lab, test" ;;
    esac
done

if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null ||
        die "Missing: ${missing[*]} (Debian's names), and there is no apt-get: install them by hand."
    printf 'Installing %s\n' "${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update ||
        die "apt-get update failed; missing packages: ${missing[*]}."
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null ||
        die "apt-get could not install: ${missing[*]}."
fi
