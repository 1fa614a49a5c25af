#!/usr/bin/env bash
# Runs the guest tests with several kernels, each in a Debian system of its own that has that kernel, its
# headers, trace-cmd, QEMU and Python of the same age:
#   test-kernels.sh [6.1] [6.12] [7.x] [-- pytest's arguments]    (default: all three, tests/guest tests/capture)
# Then it records the corpus of failing modules (tests/why/record.py), all modules of a kernel in one boot, and prints the
# answer that a user sees after a failing insmod, and how often `kfgraph why` is right. KFGRAPH_CORPUS=0 leaves that out.
# The systems are made once with debootstrap, about 2 GB each, in KFGRAPH_KERNELS_DIR (default
# ~/.cache/kfgraph/kernels), and brought up to date by every run. Needs root, apt and the network. Takes
# about half an hour per kernel where guests are emulated. Prints a table; ends with 0 if every test passed.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
cache=${KFGRAPH_KERNELS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/kfgraph/kernels}

# name, suite, suite of the kernel
systems="6.1 bookworm bookworm
6.12 bookworm bookworm-backports
7.x sid sid"

fail() { echo "test-kernels.sh: $*" >&2; exit 3; }

names=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    grep -q "^$1 " <<<"$systems" || fail "no kernel named $1; there are: $(cut -d' ' -f1 <<<"$systems" | tr '\n' ' ')"
    names+=("$1")
    shift
done
[ $# -gt 0 ] && shift
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cut -d' ' -f1 <<<"$systems")
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(tests/guest tests/capture)
# How often a command of a millisecond is recorded (tests/guest/test_trace_native.py); CI does it less often.
# Times that were measured with a tracer and without one are compared (tests/guest/test_tracing_cost.py).
export KFGRAPH_ALONE=1
export KFGRAPH_SHORT_RUNS=${KFGRAPH_SHORT_RUNS:-100}

[ "$(id -u)" = 0 ] || fail "making the systems needs root: sudo $0"
command -v apt-get >/dev/null || fail "needs a Debian or Ubuntu machine (apt-get)"
export DEBIAN_FRONTEND=noninteractive
command -v debootstrap >/dev/null || { apt-get update -q && apt-get install -q -y debootstrap; } >&2

# The mirror: MIRROR, else the one that this machine's apt has for Debian itself, else debootstrap's own default.
debian_mirror() {
    apt-get indextargets --format '$(ORIGIN) $(SITE)' 'Created-By: Packages' 2>/dev/null |
        sed -n 's/^Debian \(.*\/debian\)\/*$/\1/p' | head -n 1
}
mirror=${MIRROR:-$(debian_mirror || true)}

# inside ROOT COMMAND...: with /proc, /sys and /dev of its own mount namespace, gone when the command is.
inside() {
    unshare --mount --propagation private sh -ec '
        root=$1; shift
        mount -t proc proc "$root/proc"; mount --rbind /sys "$root/sys"; mount --rbind /dev "$root/dev"
        exec chroot "$root" /usr/bin/env -u VIRTUAL_ENV HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"' sh "$@"
}

make_system() { # ROOT SUITE KERNEL-SUITE
    local root=$1 suite=$2 kernel=$3
    if [ ! -e "$root/.made" ]; then
        rm -rf "$root"
        mkdir -p "$root"
        debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" ${mirror:+"$mirror"}
        touch "$root/.made"
    fi
    # The network and the certificates as they are here, a package index of one's own for pip too.
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    cp -rL /etc/ssl/certs "$root/etc/ssl/"
    [ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/pip.conf"
    # It is thrown away after a crash: no fsync for every package, and no initrd, which a guest does not use.
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
    # The same mirror again, as debootstrap wrote it down.
    [ "$suite" = "$kernel" ] ||
        sed -n "s/^\(deb .*\) $suite main\>.*/\1 $kernel main/p" "$root/etc/apt/sources.list" |
            head -n 1 >"$root/etc/apt/sources.list.d/kernel.list"
    inside "$root" apt-get update -q
    inside "$root" apt-get install -q -y --no-install-recommends make gcc libc6-dev xz-utils kmod procps \
        trace-cmd qemu-system-x86 busybox-static file python3 python3-venv python3-dev
    INITRD=No inside "$root" apt-get install -q -y --no-install-recommends -t "$kernel" \
        linux-image-amd64 linux-headers-amd64
    # The newest kernel only: that is the one to be tested.
    inside "$root" apt-get autoremove -q -y --purge
}

copy_source() { # ROOT: what git knows of, as it lies here; the venv of an earlier run stays, the build is new
    mkdir -p "$1/root/kfgraph"
    find "$1/root/kfgraph" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
    rm -f "$1/root/kfgraph/.venv/stamp"
    git ls-files -z | tar -C "$repository" --null --files-from=- --ignore-failed-read -cf - | tar -C "$1/root/kfgraph" -xf -
}

versions() { # ROOT: a table row's cells
    inside "$1" sh -c '
        kernel=$(ls /boot/vmlinuz-* | sort -V | tail -n 1)
        version() { dpkg-query -W -f "\${Version}" "$1" | sed "s/^[0-9]*://; s/[-+].*//"; }
        echo "${kernel#/boot/vmlinuz-} | $(version trace-cmd) | $(version qemu-system-x86) | $(version python3)"'
}

mkdir -p "$cache"
table="| kernel | trace-cmd | QEMU | Python | passed | failed | skipped | time |
|---|---|---|---|---|---|---|---|"
bad=0
answers=
while read -r name suite kernel <&3; do
    [[ " ${names[*]} " == *" $name "* ]] || continue
    root=$cache/$name log=$cache/$name.log
    echo "$name: making the system (log: $log)" >&2
    make_system "$root" "$suite" "$kernel" >"$log" 2>&1 </dev/null || fail "$name: see $log"
    copy_source "$root"
    echo "$name: $(versions "$root"): testing" >&2
    begin=$SECONDS
    inside "$root" make --no-print-directory -C /root/kfgraph test "ARGS=-p no:cacheprovider ${tests[*]}" \
        </dev/null 2>&1 | tee -a "$log" >&2 || bad=1
    closing=$(grep -E '^=+ .* in [0-9.]+s' "$log" | tail -n 1)
    count() { grep -oE "[0-9]+ $1" <<<"$closing" | cut -d' ' -f1 || echo 0; }
    table+="
| $(versions "$root") | $(count passed) | $(($(count failed) + $(count error))) | $(count skipped) | $((SECONDS - begin)) s |"
    [ "${KFGRAPH_CORPUS:-1}" != 0 ] || continue
    echo "$name: recording the corpus" >&2
    corpus=$(inside "$root" sh -ec 'rm -rf /root/corpus; cd /root/kfgraph; .venv/bin/python tests/why/record.py /root/corpus' \
        </dev/null 2>>"$log") || bad=1
    answers+="
== $name
$corpus
"
done 3<<<"$systems"
echo "$table"
echo "$answers"
exit $bad
