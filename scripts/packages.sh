#!/bin/sh
# Install the Debian or Ubuntu packages of the groups named, as root, after saying which.
#   packages.sh base    what building, testing and the demo use
#   packages.sh browser what the pages of kfgraph html are tested with (about 400 MB)
#   packages.sh guest   a virtual machine and a kernel to trace in (about 700 MB)
# Without root, or without apt, it says what is missing and goes on: everything that needs a missing
# package says so by itself. With KFGRAPH_REQUIRE_ALL=1 a missing package is a failure.
set -u

have() { command -v "$1" >/dev/null 2>&1; }
PATH=$PATH:/usr/sbin:/sbin
PYTHON=${PYTHON:-python3}

kernel_packages() {
    case "$(. /etc/os-release 2>/dev/null; echo "${ID:-} ${ID_LIKE:-}")" in
        *ubuntu*) echo linux-image-generic linux-headers-generic ;;
        *) echo "linux-image-$(dpkg --print-architecture)" "linux-headers-$(dpkg --print-architecture)" ;;
    esac
}

wanted() {
    for group in "$@"; do
        case $group in
            base)
                have gcc || echo gcc libc6-dev
                have xz || echo xz-utils
                have trace-cmd || echo trace-cmd
                have insmod || echo kmod
                have dot || echo graphviz
                have callgrind_annotate || echo valgrind
                have groff || echo groff-base
                "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || echo python3-venv
                "$PYTHON" -c 'import os, sysconfig
raise SystemExit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null || echo python3-dev
                ;;
            browser)
                have chromium || have chromium-browser || have google-chrome || echo chromium
                have node || echo nodejs
                ;;
            guest)
                have make || echo make
                have gcc || echo gcc libc6-dev
                have insmod || echo kmod
                have pgrep || echo procps
                have trace-cmd || echo trace-cmd
                have qemu-system-x86_64 || echo qemu-system-x86
                # A kernel with 9p as a module needs an initramfs; virtme-ng makes one of busybox.
                have busybox || echo busybox-static
                # A kernel with its modules, and the headers to build a module for it.
                for image in /boot/vmlinuz-*; do
                    release=${image#/boot/vmlinuz-}
                    [ -d "/lib/modules/$release/kernel" ] && [ -e "/lib/modules/$release/build/Makefile" ] && return
                done
                kernel_packages
                ;;
            *) echo "packages.sh: no group named $group" >&2; exit 2 ;;
        esac
    done
}

packages=$(wanted "$@" | tr ' ' '\n' | sort -u | tr '\n' ' ')
[ -n "$packages" ] || exit 0
if [ "$(id -u)" = 0 ] && have apt-get; then
    echo "Installing Debian packages: $packages" >&2
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    if { apt-get update -q && apt-get install -q -y --no-install-recommends $packages; } >&2 </dev/null; then
        exit 0
    fi
    echo "Could not install: $packages" >&2
else
    echo "Not installed here: $packages" >&2
    echo "  (as root: apt-get install $packages)" >&2
fi
[ "${KFGRAPH_REQUIRE_ALL:-}" != 1 ]
