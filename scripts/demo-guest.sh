#!/bin/sh
# The main job for real: build examples/foo for a kernel of this machine, trace its insmod in a throwaway
# virtual machine with that kernel, show where it failed. About a minute where QEMU must emulate.
# Exit status 77: it cannot be done here, the reason is on stderr.
set -u
cd "$(dirname "$0")/.." || exit 1
kfgraph=.venv/bin/kfgraph
out=out/demo
# Nobody is there to leave a pager.
export PAGER=cat

cannot() { printf 'No guest on this machine: %s\n' "$*" >&2; exit 77; }
say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
run() { say "kfgraph $*"; "$kfgraph" "$@"; }

scripts/packages.sh guest
# The newest kernel that a guest can boot and that has the headers to build a module for.
kernel=$(.venv/bin/python - <<'PYTHON'
import sys
from pathlib import Path

from kfgraph.capture.guest import machine
from kfgraph.errors import MachineError
from kfgraph.kernel.images import list_images

try:
    machine.find_machine()
    machine.choose_image()
except MachineError as problem:
    sys.exit(f"{problem.message} ({problem.hint})")
for image in list_images():
    if not image.obstacles() and Path(f"/lib/modules/{image.release}/build/Makefile").exists():
        print(image.release, image.path)
        break
else:
    sys.exit(f"no headers for the kernels in /boot (apt-get install linux-headers-{list_images()[0].release})")
PYTHON
) || cannot "see above; kfgraph doctor says more"
release=${kernel%% *} image=${kernel#* }

mkdir -p "$out"
say "make -C examples/foo KVER=$release"
make -C examples/foo KVER="$release" OUT="$PWD/$out/foo" >"$out/make.log" 2>&1 || {
    tail -5 "$out/make.log" >&2
    cannot "examples/foo does not build for $release (the whole output is in $out/make.log)"
}
run trace --guest-kernel "$image" -o "$out/demo.dat" --force -- insmod "$out/foo/foo.ko" fail=19
status=$?
# insmod fails, that is the point: 1 is its own status. 125 to 127 are kfgraph's.
[ $status -lt 125 ] || cannot "the recording failed ($status)"
run why "$out/demo.dat" || exit
run show "$out/demo.dat" --root do_one_initcall --no-irq || exit
run top "$out/demo.dat" --limit 10 || exit
run html "$out/demo.dat" -o "$out/demo.html" || exit
printf '\nThe whole trace as one page: open %s in a browser.\n' "$PWD/$out/demo.html"
