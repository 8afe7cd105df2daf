# shellcheck shell=bash
# Common to all scripts: sourced, never run. Sets the working folder to the repository's root.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# rustup puts cargo here, and only new login shells see it in PATH.
if [ -d "$HOME/.cargo/bin" ]; then
    PATH="$HOME/.cargo/bin:$PATH"
fi
# Debian keeps ip and nft where only root's PATH looks.
PATH="$PATH:/usr/sbin:/sbin"
export PATH

# Ends the script with one sentence on standard error.
die() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Runs a command as root, by sudo when we are not.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "This needs root for \`$1\` and there is no sudo: run it as root, or install sudo."
    fi
}

# The target triple of this machine, as rustc names it.
host_triple() {
    rustc -vV | sed -n 's/^host: //p'
}
