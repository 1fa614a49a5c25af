#!/usr/bin/env python3
"""What recording system calls by default costs a command, and what ``--sched`` adds, in one throwaway guest.

    python benchmarks/syscalls_cost.py [--rounds N] [--calls N] [--kernel IMAGE]

One command is recorded in turns with --no-syscalls, with the defaults (numbers and results of all system calls, and
return probes on what copies a path) and with the defaults and --sched. It opens, reads and closes a file of /proc and
looks at another, N times, without a pause: nearly all its time is system calls, so this is the worst case. Figures are
the seconds that these take in the command itself, and the seconds from the start to the complete file, by the guest's
clock, as ratios round by round to --no-syscalls; and the size of the file. The first round is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from guest.harness import in_memory, run_script  # noqa: E402 (it lies with the tests)
from kfgraph.capture.guest import machine as machines  # noqa: E402

VARIANTS = {"bare": "--no-syscalls", "default": "", "sched": "--sched"}

COMMAND = """\
use Time::HiRes;
my $begin = Time::HiRes::time;
for (1 .. $ARGV[0]) {
    open(my $file, "<", "/proc/self/stat") or die;
    my $line = <$file>;
    close $file;
    stat("/proc/self/maps");
}
printf("%d\\n", 1e6 * (Time::HiRes::time - $begin));
"""

SCRIPT = r"""
set -e
cp command.pl /tmp && cd /tmp # the shared folder is slow
one() { # NAME ROUND OPTION...
    local name=$1 number=$2 begin=$EPOCHREALTIME
    shift 2
    kfgraph trace -q -f --no-returns "$@" -o $name.dat -- perl command.pl $CALLS > inside 2> $name.err
    local end=$EPOCHREALTIME
    echo "$name $number $(cat inside) $((${end/./} - ${begin/./})) $(stat -c %s $name.dat) $(grep -c lost $name.err)"
}
echo "alone 0 $(perl command.pl $CALLS) 0 0 0"
for i in $(seq 0 $ROUNDS); do
    order="bare default sched"
    ((i % 2)) && order="sched default bare"
    for name in $order; do
        case $name in
        bare) one bare $i --no-syscalls || true ;;
        default) one default $i || true ;;
        sched) one sched $i --sched || true ;;
        esac
    done
done
exit 0
"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=500, help="how often the command opens, reads, closes and looks")
    parser.add_argument("--kernel", default="", help="an image in /boot, or its path (default: the newest that can)")
    options = parser.parse_args()
    image, machine = machines.choose_image(options.kernel), machines.find_machine()
    script = f"ROUNDS={options.rounds} CALLS={options.calls}\n{in_memory()}{SCRIPT}"
    with tempfile.TemporaryDirectory() as folder:
        limit = 600 + 180.0 * (options.rounds + 1)
        run = run_script(script, Path(folder), files={"command.pl": COMMAND}, image=image, timeout_s=limit)
    if not run.good:
        print(run, file=sys.stderr)
        return 2
    rows = [line.split() for line in run.stdout.splitlines()]
    print(f"{image.release}, {machine.accel}, {machine.cpus} CPU, {options.calls} times 4 system calls")
    inside, whole, size = ({(r[0], int(r[1])): int(r[column]) for r in rows} for column in (2, 3, 4))
    print(f"the command alone: {inside['alone', 0] / 1e6:.2f} s")
    counted = range(1, options.rounds + 1)
    for name, option in VARIANTS.items():
        line = f"{option or 'the defaults':14}"
        for unit in (inside, whole):
            ratios = sorted(unit[name, i] / unit["bare", i] for i in counted)
            seconds = statistics.median(unit[name, i] for i in counted) / 1e6
            line += f" {seconds:7.2f} s, ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        print(f"{line} {statistics.median(size[name, i] for i in counted) / 1024:9,.0f} KiB")
    lost = [f"{r[0]} {r[1]}" for r in rows if int(r[5])]
    print(f"events were lost in: {', '.join(lost)}" if lost else "nothing was lost")
    return 2 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
