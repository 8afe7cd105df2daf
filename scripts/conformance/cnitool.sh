#!/usr/bin/env bash
# Builds the CNI project's own `cnitool` from the distribution's source package of that project,
# against the library of its development package. Usage: cnitool.sh FILE
#
# The source is fetched with package lists of its own, from where the machine gets its packages:
# its list of sources stays as it is.

set -euo pipefail
out=$1
[ ! -x "$out" ] || exit 0
command -v go >/dev/null || { echo "cnitool: there is no go (package golang-go)" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/sources.list.d" "$work/lists/partial" "$work/source"
# The distribution's own sources, in either of apt's two forms, asked for sources.
: >"$work/sources.list"
if [ -f /etc/apt/sources.list ]; then
    sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$work/sources.list"
fi
for list in /etc/apt/sources.list.d/{debian,ubuntu}.sources; do
    [ ! -f "$list" ] ||
        sed 's/^Types:.*/Types: deb-src/' "$list" >"$work/sources.list.d/${list##*/}"
done
sources() {
    apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" \
        -o Dir::Etc::sourceparts="$work/sources.list.d" \
        -o Dir::State::lists="$work/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o APT::Sandbox::User=root "$@"
}
sources update
(cd "$work/source" && sources source --download-only golang-github-appc-cni >/dev/null)

package="$work/go/src/github.com/containernetworking/cni"
mkdir -p "$package" "$(dirname "$out")"
tar -xf "$work"/source/*.orig.tar.* -C "$package" --strip-components=1
(cd "$package/cnitool" &&
    HOME="$work" GO111MODULE=off GOPATH="$work/go:/usr/share/gocode" CGO_ENABLED=0 \
        go build -o "$work/cnitool")
mv "$work/cnitool" "$out"
