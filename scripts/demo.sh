#!/bin/sh
# What kfgraph shows. Traces a real insmod in a throwaway virtual machine where this machine can run
# one; shows the recorded one in examples/ where not. Your own kernel is touched with DEMO_NATIVE=1 only.
set -u
cd "$(dirname "$0")/.." || exit 1
kfgraph=.venv/bin/kfgraph

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
run() { say "kfgraph $*"; "$kfgraph" "$@"; }

if [ "${DEMO_NATIVE:-}" = 1 ]; then
    # Asked for by name: an empty network device of this very kernel comes and goes.
    run trace --force -o demo.dat -- modprobe dummy || exit
    modprobe -r dummy
    trace=demo.dat
elif [ -x scripts/demo-guest.sh ]; then
    scripts/demo-guest.sh && exit 0
    status=$?
    # 77: it cannot be done on this machine, and it has said why.
    [ $status = 77 ] || exit $status
fi
if [ -z "${trace:-}" ]; then
    printf '\nShowing a recorded one: insmod of a module whose init fails with -ENODEV (examples/README.md).\n'
    trace=examples/insmod-foo-fail19.dat
fi
if [ -n "${DEMO_NATIVE:-}" ]; then
    run show "$trace" --root load_module || exit
else
    run why "$trace" || exit
fi
[ -n "${DEMO_NATIVE:-}" ] || run show "$trace" --root do_one_initcall --no-irq || exit
run top "$trace" || exit
mkdir -p out
run html "$trace" -o out/demo.html || exit
printf '\nThe whole trace as one page: open %s in a browser.\n' "$PWD/out/demo.html"
