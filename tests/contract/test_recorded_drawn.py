"""What command lines with many options at once print, whole: compared with what was recorded.

The options are drawn, the same ones each time. They meet one another here as no test written by hand has them meet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

import recorded
from builder.drawn import Draw
from contract.test_recorded import CUT, FAILING, TEXT, printed

TRACES = (
    *FAILING, "examples/failing/nobody_listens.dat", "examples/insmod-foo-fail19.dat", "examples/cat-enoent.dat",
    f"{CUT}/6.1-lossy.dat", f"{CUT}/6.1-probes.dat", f"{CUT}/6.1-syscalls.dat", f"{CUT}/6.12-lost.dat",
    f"{CUT}/6.12-thresh.dat", f"{CUT}/6.12-tsc.dat", f"{CUT}/7.2-args.dat", f"{CUT}/7.2-retaddr.dat",
    f"{CUT}/7.2-retval.dat", f"{CUT}/7.2-syscalls.dat", f"{CUT}/i386-lossy.dat", f"{CUT}/s390x-7.2.dat",
    f"{TEXT}/6.12-report-ls-lost.txt.xz", f"{TEXT}/7.2-report-widget-fail19.txt.xz",
    f"{TEXT}/6.1-ftrace-with-syscalls.txt.xz", f"{TEXT}/6.1-ftrace-function-tracer.txt.xz",
    f"{TEXT}/7.2-retval-ftrace-args.txt.xz", f"{TEXT}/6.1-ftrace-nocpu.txt.xz",
)  # fmt: skip
VALUES = (
    *TRACES[:7], f"{CUT}/6.1-probes.dat", f"{CUT}/6.1-syscalls.dat", f"{CUT}/7.2-retval.dat", f"{CUT}/7.2-syscalls.dat",
    f"{TEXT}/7.2-report-widget-fail19.txt.xz", f"{TEXT}/6.1-report-pipe-syscalls.txt.xz",
    f"{TEXT}/7.2-retval-ftrace-retval.txt.xz", f"{TEXT}/6.1-ftrace-with-syscalls.txt.xz",
)  # fmt: skip
"""Those that tell of failures."""
CALLS = (
    "--root *", "--root *alloc*", "--root *read*", "--root *lock* --root vfs_*", "--cpu 0", "--cpu 1 --cpu 2",
    "--from 0.0001", "--to 0.002", "--from 0.00005 --to 0.001", "--irq", "--no-irq", "--failed", "--ret <0",
    "--ret EINVAL --ret ENOENT", "--all-tasks", "--pre-exec", "--task *s*",
)  # fmt: skip
ROWS = (
    "--all", "--depth 2", "--depth 0", "--min 2us", "--min 0.5%", "--max-rows 9", "--max-rows 40", "--max-rows 3",
    "--expand *put*", "--collapse *lock*", "--open-irq", "--hide *lock* --hide rcu_*", "--calls-to *free*", "--errors",
    "-e *", "-e sched_*", "--follow-tree",
)  # fmt: skip
TREES = ("--nth 2", "--slowest 3", "--merge", "--calls", "--callers *free*", "--callers kmem_* --callers *lock")
WITH = (
    "--start", "--with args", "--with returns,cpu", "--with caller,oncpu", "--with asleep,preempted,irq",
    "--compensate", "--json", "--with site,args,irq",
)  # fmt: skip
TOP = (
    "--by self", "--by total", "--by calls", "--by avg", "--by max", "--by errors", "--group module", "--limit 5",
    "--limit 60", "--paths 3", "--paths 0", "--callers *free*", "--own-cost", "--compensate", "--json", "--csv",
)  # fmt: skip
ERRORS = ("--unsure", "--limit 3", "--json", "--of widget", "--limit 40")
SYSCALLS = ("-e open*", "-e read -e mmap", "--failed", "--slowest 3", "-c", "--limit 4", "--json", "--all-tasks")
FLAME = ("--by calls", "--by self", "--by errors", "--icicle", "--reverse", "--join-recursion", "--title t<&>", "-o -")
EXPORT = ("--min 1us", "--min 20us", "--redact", "--compensate")
FORMATS = tuple(f"--format {name}" for name in ("folded", "chrome", "firefox", "speedscope", "callgrind", "dot", "csv"))
FORMATS += tuple(f"--format {name}" for name in ("mermaid", "json", "report", "ftrace"))
WHY = ("--root *probe*", "--root *open*", "--ret EINVAL", "--ret ENOENT", "--all", "--all-tasks", "--text", "--json")
COMMANDS: dict[str, tuple[int, tuple[str, ...], tuple[tuple[Sequence[str], int], ...]]] = {
    # Name: how many lines, of which traces; the options, of which pools at most how many.
    "show": (360, TRACES, ((TREES, 1), (CALLS, 1), (ROWS, 2), (WITH, 1))),
    "top": (120, TRACES, ((CALLS, 1), (TOP, 3))),
    "errors": (80, VALUES, ((CALLS[:11], 1), (ERRORS, 2))),
    "syscalls": (80, VALUES, ((SYSCALLS, 2),)),
    "flame": (80, TRACES, ((CALLS, 1), (FLAME, 3))),
    "export": (110, TRACES, ((CALLS, 1), (EXPORT, 1))),
    "why": (60, VALUES, ((WHY, 2),)),
}
LONGEST = 2000
"""Of more than so many characters the first ones are kept, and a sum."""
WIDTHS = (100, 72, 60, 130, 84)


def lines(command: str, *, name: str = "") -> Iterator[tuple[str, int]]:
    """(command line, width of the terminal)."""
    n_lines, traces, pools = COMMANDS[command]
    draw = Draw(command + name)
    for n in range(n_lines):
        words = [word for pool, most in pools for word in draw.some(pool, most)]
        if command == "export":
            words.insert(0, FORMATS[n % len(FORMATS)])
        yield " ".join([command, traces[draw.below(len(traces))], *words]), WIDTHS[draw.below(len(WIDTHS))]


@pytest.mark.parametrize("command", COMMANDS)
def test_everything_is_printed_as_recorded(command: str, at_a_terminal: pytest.MonkeyPatch) -> None:
    def everything() -> Iterator[str]:
        for line, width in lines(command):
            at_a_terminal.setenv("COLUMNS", str(width))
            said = printed(line)
            assert "bug:" not in said
            rest = f" {recorded.summed(said)}" if len(said) > LONGEST else ""
            yield f"{width} {line}: {said[:LONGEST]}{rest}"

    recorded.compare(f"drawn-{command}", everything())


@pytest.mark.parametrize("command", ["show", "top", "errors", "syscalls", "why"])
def test_on_a_narrow_terminal_it_is_printed_as_recorded(command: str, at_a_terminal: pytest.MonkeyPatch) -> None:
    def everything() -> Iterator[str]:
        for line, _ in list(lines(command, name="narrow"))[:10]:
            for width in (24, 41):
                at_a_terminal.setenv("COLUMNS", str(width))
                yield f"{width} {line}: {recorded.summed(printed(line), 12)}"

    recorded.compare(f"drawn-narrow-{command}", everything())
