#!/usr/bin/env bash
# Installs everything into a directory and looks at what is there: programs, man pages, completions of three shells, the systemd unit and
# the alerts for Prometheus. Installs the Debian packages of the tools that judge them when they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

# Of systemd's score from 0.0 (locked up) to 10.0: the unit gives up everything but the network and its data.
exposure_max=2.0

missing=()
for tool in mandoc zsh fish systemd-analyze:systemd; do
    command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
    echo "check-install: installing ${missing[*]}"
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
fi

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
fail() {
    echo "check-install: $1" >&2
    exit 1
}

# Built already: make is told so.
make --no-print-directory -o build install DESTDIR="$place" PREFIX=/usr >"$place/log" 2>&1 || { cat "$place/log"; exit 1; }

# Programs run from where they were put.
for program in springg logdump; do
    "$place/usr/bin/$program" --help >/dev/null || fail "$program does not run"
done

# A page for each program and each command, without a word of complaint from a second opinion on troff.
pages=$(find "$place/usr/share/man/man1" -name '*.1' | wc -l)
commands=$("$place/usr/bin/springg" --help | sed -n '/^SUBCOMMANDS/,$p' | grep -c '^  [a-z]')
[ "$pages" -gt "$commands" ] || fail "$pages man pages for $commands commands of springg alone"
mandoc -T lint -W warning "$place"/usr/share/man/man1/*.1 || fail "man pages have flaws"
grep -qF -- '\-\-data\-path' "$place/usr/share/man/man1/springg-serve.1" || fail "springg-serve(1) lacks a flag"

# Completions: each shell reads its file, and knows a command and a flag then.
share=$place/usr/share
for program in springg logdump; do
    bash -c "source '$share/bash-completion/completions/$program' && complete -p $program" >/dev/null \
        || fail "bash does not complete $program"
    zsh -fn "$share/zsh/site-functions/_$program" || fail "zsh does not read _$program"
    grep -q "^#compdef $program" "$share/zsh/site-functions/_$program" || fail "zsh does not know what _$program is for"
    fish --no-execute "$share/fish/vendor_completions.d/$program.fish" || fail "fish does not read $program.fish"
done
offered=$(HOME=$place fish -c "source '$share/fish/vendor_completions.d/springg.fish'; complete -C 'springg '; complete -C 'springg serve --'")
for word in serve restore --data-path; do
    grep -q -- "^$word" <<<"$offered" || fail "fish does not offer $word"
done

# The unit, as it would be started from there.
unit=$place/usr/lib/systemd/system/springg.service
grep -q '^ExecStart=/usr/bin/springg ' "$unit" || fail "the unit starts another program than was installed"
cp "$unit" "$place/springg.service"
sed -i "s|^ExecStart=/usr/bin|ExecStart=$place/usr/bin|" "$place/springg.service"
# User and manual are there once it is installed for good.
systemd-analyze verify --man=no "$place/springg.service" || fail "systemd does not take the unit"
exposure=$(systemd-analyze security --offline=true "$place/springg.service" | sed -n 's/.*exposure level.*: \([0-9.]*\).*/\1/p')
[ "$(printf '%s\n%s\n' "$exposure" "$exposure_max" | sort -g | tail -n 1)" = "$exposure_max" ] \
    || fail "the unit's exposure is ${exposure:-unknown}, more than $exposure_max"

# The container gets the libraries that the programs are linked with, but for those of Swift, which are linked into them there.
for library in $(readelf -d "$place/usr/bin/springg" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p'); do
    case $library in
        libswift* | lib_Foundation* | libFoundation* | libdispatch* | libBlocksRuntime* | ld-linux*) continue ;;
        libc.so* | libm.so* | libgcc_s* | libstdc++*) continue ;; # Debian's smallest image has them.
    esac
    package=$(dpkg -S "*/$library" | head -n 1 | cut -d: -f1)
    grep -qw -- "$package" packaging/Containerfile || fail "the container lacks $package, for $library"
done

.build/agents/promtool check rules "$share/springg/alerts.yml" >/dev/null
.build/agents/promtool test rules packaging/alerts_test.yml >/dev/null || fail "alerts do not fire as they should"
echo "check-install: $pages man pages, completions for bash, zsh and fish, unit (exposure $exposure), alerts: all as they should be"
