#!/bin/bash
# The end-to-end tests in guests with several kernels: Debian's own and those of the suites named.
#   scripts/test-kernels.sh [SUITE...]     default: bookworm-backports (6.12) and sid (7.x)
# Images, modules and headers are downloaded (about 130 MB each) and unpacked into .cache/kernels; nothing is
# installed. Long: many minutes for each kernel where QEMU must emulate.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
scripts/packages.sh base guest
[ $# -gt 0 ] || set -- bookworm-backports sid
kernels=$PWD/.cache/kernels
apt=$PWD/.cache/apt
arch=$(dpkg --print-architecture)
mkdir -p "$kernels" "$apt"/{lists/partial,cache/archives/partial,debs}
mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 2>/dev/null | awk '$2 !~ /security|updates/ { print $1; exit }')

unpack() {  # SUITE: its kernel into $kernels; prints the release
    local options packages release
    echo "deb ${mirror:?no Debian mirror in the sources of apt} $1 main" >"$apt/sources.list"
    options=(-q -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$apt/lists"
        -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update >&2
    release=$(apt-cache "${options[@]}" depends "linux-image-$arch" | sed -n 's/.*Depends: linux-image-\([0-9].*\)/\1/p' | tail -1)
    if [ ! -e "$kernels/lib/modules/$release/modules.dep" ]; then
        packages=$(apt-cache "${options[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts \
            --no-breaks --no-replaces --no-enhances "linux-image-$release" "linux-headers-$release" |
            grep '^linux-' | grep -F -- "-${release%-"$arch"}" | sort -u)
        # shellcheck disable=SC2086
        (cd "$apt/debs" && rm -f ./*.deb && apt-get "${options[@]}" download $packages >&2)
        for deb in "$apt"/debs/*.deb; do dpkg -x "$deb" "$kernels"; done
        settle "$release" >&2
    fi
    echo "$release"
}

settle() {  # RELEASE: make the unpacked files fit each other at this place
    local headers=$kernels/usr/src/linux-headers-$1
    mkdir -p "$kernels/lib/modules" "$kernels/boot"
    [ -d "$kernels/lib/modules/$1" ] || mv "$kernels/usr/lib/modules/$1" "$kernels/lib/modules/"
    if [ -e "$kernels/lib/modules/$1/vmlinuz" ]; then
        cp "$kernels/lib/modules/$1/vmlinuz" "$kernels/boot/vmlinuz-$1"
        cp "$kernels/lib/modules/$1/config" "$kernels/boot/config-$1"
    fi
    sed -i "s|/usr/src|$kernels/usr/src|" "$headers/Makefile"
    ln -sfn "$headers" "$kernels/lib/modules/$1/build"
    depmod -b "$kernels" "$1"
}

failed=0
test_kernel() {  # IMAGE
    echo "== $1"
    KFGRAPH_TEST_KERNEL=$1 .venv/bin/python -m pytest tests/guest || failed=1
}

test_kernel ""
for suite in "$@"; do
    test_kernel "$kernels/boot/vmlinuz-$(unpack "$suite")"
done
exit $failed
