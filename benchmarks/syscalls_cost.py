#!/usr/bin/env python3
"""What recording system calls by default costs a command, and what ``--sched`` adds, in one throwaway guest.

    python benchmarks/syscalls_cost.py [--rounds N] [--calls N] [--kernel IMAGE]

One command is recorded in turns with --no-syscalls, with the defaults (numbers and results of all system calls, and
return probes on what copies a path) and with the defaults and --sched. It opens, reads and closes a file of /proc and
looks at another, N times, without a pause: nearly all its time is system calls, so this is the worst case. Figures are
the seconds that these take in the command itself, and the seconds from the start to the complete file, as ratios
round by round to --no-syscalls; and the size of the file. The first round is not counted.

Seconds are those of the guest's clock, and, where the guest is emulated, the CPU seconds that the emulator took: other
work on the host makes the former longer. The guest makes an empty file in the shared folder where a time begins and
ends; a thread here looks for it every 20 ms.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from guest.harness import in_memory, run_script  # noqa: E402 (it lies with the tests)
from kfgraph.capture.guest import machine as machines  # noqa: E402

VARIANTS = {"bare": "--no-syscalls", "default": "", "sched": "--sched"}

COMMAND = """\
use Time::HiRes;
open(my $mark, ">", "$ARGV[1].in") or die;
my $begin = Time::HiRes::time;
for (1 .. $ARGV[0]) {
    open(my $file, "<", "/proc/self/stat") or die;
    my $line = <$file>;
    close $file;
    stat("/proc/self/maps");
}
my $end = Time::HiRes::time;
open($mark, ">", "$ARGV[1].out") or die;
printf("%d\\n", 1e6 * ($end - $begin));
"""

SCRIPT = r"""
set -e
share=$PWD
cp command.pl /tmp && cd /tmp # the shared folder is slow
one() { # NAME ROUND OPTION...
    local name=$1 number=$2 mark=$share/$1-$2
    shift 2
    : > $mark.begin
    local begin=$EPOCHREALTIME
    kfgraph trace -q -f --no-returns "$@" -o $name.dat -- perl command.pl $CALLS $mark > inside 2> $name.err
    local end=$EPOCHREALTIME
    : > $mark.end
    echo "$name $number $(cat inside) $((${end/./} - ${begin/./})) $(stat -c %s $name.dat) $(grep -c lost $name.err)"
}
echo "alone 0 $(perl command.pl $CALLS $share/alone-0) 0 0 0"
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


class EmulatorClock(threading.Thread):
    """Notes the CPU seconds that the guest's emulator has taken when a mark appears in the shared folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.seconds: dict[str, float] = {}
        self._folder = folder
        self._over = threading.Event()

    def run(self) -> None:
        share = self._folder / "share" / "work"
        emulator: Path | None = None
        while not self._over.wait(0.02):
            if not share.exists():
                continue
            emulator = emulator or self._find()
            for file in share.iterdir():
                if file.suffix in (".begin", ".in", ".out", ".end") and file.name not in self.seconds:
                    fields = (emulator / "stat").read_text().rpartition(")")[2].split()
                    self.seconds[file.name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _find(self) -> Path:
        """The process, by the shared folder in its arguments."""
        wanted = f"{self._folder}/share".encode()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                argv = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:  # it ended meanwhile
                continue
            if b"qemu-system" in argv[0] and any(wanted in word for word in argv):
                return process
        raise RuntimeError(f"no emulator has {self._folder}/share")

    def stop(self) -> None:
        self._over.set()
        self.join()

    def between(self, begin: str, end: str) -> dict[tuple[str, int], float]:
        """(variant, round) -> CPU seconds, for all that have both marks."""
        found = {}
        for mark, seconds in self.seconds.items():
            name, _, kind = mark.partition(".")
            if kind == begin:
                variant, number = name.split("-")
                found[variant, int(number)] = self.seconds[f"{name}.{end}"] - seconds
        return found


def row(values: Mapping[tuple[str, int], float], name: str, counted: range) -> str:
    """The median of one variant, and its ratio to --no-syscalls round by round."""
    ratios = sorted(values[name, i] / values["bare", i] for i in counted)
    seconds = statistics.median(values[name, i] for i in counted)
    return f" {seconds:7.2f} s, ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"


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
        clock = EmulatorClock(Path(folder).resolve())
        clock.start()
        run = run_script(script, Path(folder), files={"command.pl": COMMAND}, image=image, timeout_s=limit)
        clock.stop()
    if not run.good:
        print(run, file=sys.stderr)
        return 2
    rows = [line.split() for line in run.stdout.splitlines()]
    print(f"{image.release}, {machine.accel}, {machine.cpus} CPU, {options.calls} times 4 system calls")
    inside, whole, size = ({(r[0], int(r[1])): int(r[column]) / 1e6 for r in rows} for column in (2, 3, 4))
    print(f"the command alone: {inside['alone', 0]:.2f} s")
    counted = range(1, options.rounds + 1)
    units = {"in the command": inside, "whole": whole}
    if machine.accel != "kvm":
        units |= {"in the command, CPU": clock.between("in", "out"), "whole, CPU": clock.between("begin", "end")}
    for name, option in VARIANTS.items():
        print(f"{option or 'the defaults'}: {statistics.median(size[name, i] for i in counted) * 1e6 / 1024:,.0f} KiB")
        for title, unit in units.items():
            print(f"  {title:20}{row(unit, name, counted)}")
    lost = [f"{r[0]} {r[1]}" for r in rows if int(r[5])]
    print(f"events were lost in: {', '.join(lost)}" if lost else "nothing was lost")
    return 2 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
