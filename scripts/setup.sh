#!/usr/bin/env bash
# Makes sure that this machine can build Springg: a Swift toolchain and a few Debian packages.
#
# Does nothing when everything is there. Installs what is missing as root, or through sudo; otherwise says what to run.
set -euo pipefail

swift_wanted="6.1"
packages=(
    libssl-dev             # libssl, libcrypto: TLS, HMAC-SHA256 of tokens
    openssl                # certificates of the tests, and a client that is not ours
    curl                   # another one
    libcurl4-openssl-dev   # libcurl: linked by the object store
    libzstd-dev            # zstd: archive segments
    libxxhash-dev          # XXH3: chains and digests
    libsimdjson-dev        # the oracle of the JSON reader's tests
    pkg-config             # where the libraries are
    binutils               # the linker's tools
    python3                # the demo
    python3-venv           # the S3 servers of the tests
    iproute2               # the network of the demo of a cluster
)

fail() {
    echo "setup: $1" >&2
    exit 1
}

check_swift() {
    command -v swift >/dev/null || fail "no swift found. Get Swift $swift_wanted or newer: https://www.swift.org/install/linux/"
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] || fail "cannot read the version from: swift --version"
    if [ "$(printf '%s\n%s\n' "$swift_wanted" "$version" | sort -V | head -n 1)" != "$swift_wanted" ]; then
        fail "Swift $version is too old. Get $swift_wanted or newer: https://www.swift.org/install/linux/"
    fi
}

missing_packages() {
    local package
    for package in "${packages[@]}"; do
        dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed' || echo "$package"
    done
}

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi

update_lists() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null
}

install_packages() {
    [ "${#as_root[@]}" -eq 0 ] || command -v sudo >/dev/null || fail "as root, run: apt-get install $*"
    echo "setup: installing $*"
    update_lists
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" </dev/null
}

# A real memberlist agent for the tests of the cluster, and promtool, which checks what /metrics says. Unpacked, not
# installed: installing them would start their services.
agent="prometheus-alertmanager"
agents="$(cd "$(dirname "$0")/.." && pwd)/.build/agents"

# Unpacks a Debian package into a directory.
unpack() {
    echo "setup: unpacking $1 below .build"
    if ! (cd "$2" && { apt-get download -qq "$1" 2>/dev/null || { update_lists && apt-get download -qq "$1"; }; })
    then
        rm -rf "$2"
        fail "cannot download the Debian package $1, which the tests need"
    fi
    mkdir -p "$agents"
    dpkg -x "$2/$1"_*.deb "$2"
}

fetch_promtool() {
    local place
    place=$(mktemp -d)
    unpack prometheus "$place"
    cp "$place/usr/bin/promtool" "$agents/"
    rm -rf "$place"
}

fetch_agent() {
    local place
    place=$(mktemp -d)
    unpack "$agent" "$place"
    # Debian's build reads its templates from /usr/share only, where they are not. A path of the same length that is
    # relative to the working directory leads to those that were unpacked.
    LC_ALL=C sed -i 's|/usr/share/prometheus/alertmanager|./sr/share/prometheus/alertmanager|g' "$place/usr/bin/$agent"
    cp -r "$place/usr" "$agents/"
    ln -sfn usr "$agents/sr"
    rm -rf "$place"
}

check_swift
command -v dpkg >/dev/null || fail "this is no Debian. Install the libraries behind these packages yourself: ${packages[*]}"
mapfile -t missing < <(missing_packages)
if [ "${#missing[@]}" -gt 0 ]; then
    install_packages "${missing[@]}"
fi
[ -x "$agents/usr/bin/$agent" ] || fetch_agent
[ -x "$agents/promtool" ] || fetch_promtool
