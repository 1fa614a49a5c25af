#!/usr/bin/env python3
"""What recording with kfgraph costs beside trace-cmd typed by hand, in one throwaway guest.

    python benchmarks/capture_cost.py [--pairs N] [--seconds S] [--kernel IMAGE]

The two take turns (10 times), on the same command, with the same events and the same buffer:

    kfgraph trace -q --no-returns -o A.dat -- COMMAND
    trace-cmd record -p function_graph -F -o B.dat -b SIZE -e EVENT COMMAND

the second being what ``kfgraph trace --dry-run`` prints, with ``-F`` for ``-P PID``. COMMAND reads a file of
/proc, looks at another and sleeps, five times a second, for S seconds (10) or a little more. Figures are
seconds from the start to the complete file, by the guest's clock; the first turn of each is not counted. Ends
with 1 if the median of the ratios pair by pair is above 1.05, and with 2 if a recording failed or lost events.

Python's library and kfgraph lie in the guest's memory, as they are cached on a machine of one's own: in the root
file system that a guest shares with its host each look at a file takes 4 ms, and Python takes hundreds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

import kfgraph  # noqa: E402
from guest.harness import in_memory, run_script  # noqa: E402 (it lies with the tests)
from kfgraph.capture.guest import machine as machines  # noqa: E402

LIMIT_RATIO = 1.05
ROUND_S = 0.2

COMMAND = """\
for (1 .. $ARGV[0]) {
    open(my $file, "<", "/proc/self/stat") or die;
    my $line = <$file>;
    close $file;
    stat("/etc/hostname");
    select(undef, undef, undef, $ARGV[1]);
}
"""

SCRIPT = r"""
set -e
share=$PWD
cp command.pl /tmp && cd /tmp # the shared folder is slow
command=(perl /tmp/command.pl "$ROUNDS" "$ROUND_S")
line=$(kfgraph trace --dry-run --no-returns -o B.dat -- "${command[@]}" 2> /dev/null | grep "trace-cmd record")
byhand=(${line/-P PID/-F} "${command[@]}")
echo "${byhand[*]}" > $share/byhand

kfgraph_() { kfgraph trace -q --no-returns -o A.dat -- "${command[@]}"; }
byhand_() { "${byhand[@]}"; }
command_() { "${command[@]}"; }
timed() { # NAME NUMBER
    local begin=$EPOCHREALTIME
    $1_ > $1.log 2>&1 || { cat $1.log; exit 1; }
    local end=$EPOCHREALTIME
    echo "$1 $2 $((${end/./} - ${begin/./}))"
}

timed command 0
for i in $(seq 0 "$PAIRS"); do
    # Each goes first in every other pair.
    if ((i % 2)); then order="kfgraph byhand"; else order="byhand kfgraph"; fi
    for name in $order; do timed $name $i; done
    cp A.dat $share/$i.kfgraph.dat
    cp B.dat $share/$i.byhand.dat
done
"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the command runs at least")
    parser.add_argument("--kernel", default="", help="an image in /boot (default: the newest that can)")
    options = parser.parse_args()
    image, machine = machines.choose_image(options.kernel), machines.find_machine()
    n_rounds = round(options.seconds / ROUND_S)
    settings = {"PAIRS": options.pairs, "ROUNDS": n_rounds, "ROUND_S": ROUND_S}
    script = "".join(f"{name}={value}\n" for name, value in settings.items()) + in_memory() + SCRIPT
    with tempfile.TemporaryDirectory() as folder:
        # A turn was seen to take four times its seconds, on an emulated CPU that other work shares.
        limit = 300 + 2 * (options.pairs + 1) * (60 + 4 * options.seconds)
        run = run_script(script, Path(folder), files={"command.pl": COMMAND}, image=image, timeout_s=limit)
        if not run.good:
            print(run, file=sys.stderr)
            return 2
        took: dict[tuple[str, int], float] = {}
        for line in run.stdout.splitlines():
            name, number, microseconds = line.split()
            took[name, int(number)] = int(microseconds) / 1e6
        print(f"{image.release}, {machine.accel}, {machine.cpus} CPU; {(run.share / 'byhand').read_text().strip()}")
        print(f"the command alone: {took['command', 0]:.2f} s")
        print("pair   by hand   kfgraph   ratio      calls recorded")
        bad = False
        ratios = []
        for i in range(options.pairs + 1):
            traces = [kfgraph.load(str(run.share / f"{i}.{name}.dat")) for name in ("byhand", "kfgraph")]
            lost = sum(t.n_lost_marks + t.n_lost_counted + max(0, t.meta.n_overrun) for t in traces)
            bad |= bool(lost)
            ratio = took["kfgraph", i] / took["byhand", i]
            if i:
                ratios.append(ratio)
            counts = " ".join(f"{len(t.calls):>9,}" for t in traces)
            words = (" first, not counted" if not i else "") + (f" {lost:,} events lost" if lost else "")
            print(f"{i:4} {took['byhand', i]:7.2f} s {took['kfgraph', i]:7.2f} s {ratio:7.3f} {counts}{words}")
    medians = [statistics.median(took[n, i] for i in range(1, options.pairs + 1)) for n in ("byhand", "kfgraph")]
    ratio = statistics.median(ratios)
    print(f"median {medians[0]:5.2f} s {medians[1]:7.2f} s {ratio:7.3f}  (pair by pair; at most {LIMIT_RATIO})")
    return 2 if bad else int(ratio > LIMIT_RATIO)


if __name__ == "__main__":
    sys.exit(main())
