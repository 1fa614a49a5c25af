"""What each command prints of small real recordings, whole, in many forms: compared with what was recorded.

The transcripts beside this file are few, to be read; these are many, to notice what changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import blame
import pytest
from rich.cells import cell_len

import recorded
from running import kfgraph

REPOSITORY = Path(__file__).resolve().parents[2]
CUT, TEXT, WHY = "tests/fixtures/traces/cut", "tests/fixtures/text", "tests/why"
FAILING = tuple(f"examples/failing/{name}.dat" for name in ("busy_unmount", "param_set", "process_limit", "retry"))
TRACES = (
    *FAILING, f"{CUT}/6.12-lost.dat", f"{CUT}/6.12-thresh.dat", f"{CUT}/6.12-tsc.dat", f"{CUT}/7.2-args.dat",
    f"{CUT}/6.1-probes.dat", f"{CUT}/i386-lossy.dat", f"{CUT}/s390x-7.2.dat", f"{TEXT}/6.12-report-ls-lost.txt.xz",
    f"{TEXT}/7.2-report-widget-fail19.txt.xz", f"{TEXT}/7.2-retval-ftrace-args-retaddr.txt.xz",
)  # fmt: skip
COMMANDS = {
    "show": (
        "show {} --max-rows 30 --start", "show {} --with args,returns,cpu --max-rows 20 -e *",
        "show {} --merge --max-rows 30", "show {} --merge --no-irq --min 1% --max-rows 20", "show {} --errors",
        "show {} --root *alloc* --json", "show {} --root *lock* --merge --json", "show {} --hide [a-m]* --max-rows 12",
        "show {} --root *lock* --slowest 4", "show {} --root *alloc* --merge --expand * --max-rows 15",
    ),
    "top": (
        "top {} --limit 25 --paths 6", "top {} --json --limit 30", "top {} --csv --group module",
        "top {} --by max --no-irq", "top {} --by avg --group module --paths 2",
        "top {} --by errors --from 0.00001 --to 1 --limit 8",
    ),
    "lists": (
        "errors {}", "errors {} --unsure --json", "errors {} --unsure --limit 12", "syscalls {}", "syscalls {} --json",
        "syscalls {} -c", "info {}", "info {} --json", "info {} --verbose",
    ),
    "why": ("why {}", "why {} --all", "why {} --json"),
}  # fmt: skip
EXPORTS = tuple(
    f"export {{}} --format {format} --root *{letter}*"
    for format, letter in (
        ("folded", ""), ("chrome", "read"), ("speedscope", "lock"), ("callgrind", ""), ("dot", ""), ("mermaid", ""),
        ("csv", "put"), ("json", "get"),
    )
)  # fmt: skip
FLAMES = (
    "flame {}", "flame {} --icicle --by calls", "flame {} --by self --reverse --root *lock*", "flame {} -o -",
    "flame {} --icicle --by errors -o -", "flame {} --reverse --join-recursion --title <t> --root *alloc* -o -",
)
WIDTHS = (100, 80, 56, 140)
AT_EVERY_WIDTH = (
    "errors {} --unsure", "show {} --merge --root retry_init --depth 0", "show {} --root retry_init --depth 1",
    "top {} --limit 1", "top {} --limit 2 --by max --paths 1",
)  # fmt: skip
LOOPS = re.compile(r'(?<="loops": ")\w+|(?<=: )(compiled|plain Python, slower)$', re.MULTILINE)


def printed(line: str) -> str:
    code, out, err = kfgraph(*line.split(" "))
    # The program of an SVG is read in its own tests.
    out = re.sub(r"<script><!\[CDATA\[.*?\]\]></script>", "<script></script>", out, flags=re.DOTALL)
    said = LOOPS.sub("as built", out).replace("https:" "//", "https: ")
    return json.dumps([code, said, err], ensure_ascii=False)


def sets() -> dict[str, list[str]]:
    """Name of the record -> command lines, to be run in the repository."""
    found = {name: [line.format(trace) for trace in TRACES for line in lines] for name, lines in COMMANDS.items()}
    connect = "show examples/failing/nobody_listens.dat --root __x64_sys_connect"
    found["show"] += [f"{connect} --start --with cpu", f"{connect} -e *"]
    found["show"] += [f"{connect} --merge --depth 5", "show examples/failing/busy_unmount.dat -e * --max-rows 6"]
    found["show"] += [f"show {CUT}/6.12-lost.dat --all --depth 1"]
    found["top"] += [f"top {TEXT}/6.12-report-ls-lost.txt.xz {more}" for more in ("--limit 10", "--by max --limit 6")]
    found["top"] += ["top examples/cat-enoent.dat --compensate --limit 2 --paths 0 --callers kfree"]
    found["lists"] += ["info examples/insmod-foo-fail19.dat --json"]
    found["flames"] = [line.format(trace) for trace in (TRACES[0], TRACES[3], TRACES[7]) for line in FLAMES]
    found["exports"] = [line.format(trace) for trace in (TRACES[3], TRACES[4], TRACES[9]) for line in EXPORTS]
    return found


def corpus() -> Iterator[tuple[Path, str, str]]:
    """(folder, its name, command line to be run there) for the recordings that ``why`` is scored with."""
    here = REPOSITORY / WHY
    for folder in [*blame.kernels(), *sorted((here / "everyday" / "fixtures").glob("[0-9]*"))]:
        unpacked = blame.recordings(folder)
        files = [file.name for file in sorted(unpacked.glob("*.dat")) if "." not in file.stem]
        for n, file in enumerate(files):
            yield unpacked, folder.name, f"why {file}"
            if n % 4 == 0:
                yield unpacked, folder.name, f"why {file} --json"


def test_why_is_printed_as_recorded_of_its_corpus(at_a_terminal: pytest.MonkeyPatch) -> None:
    def everything() -> Iterator[str]:
        for n, (folder, name, line) in enumerate(corpus()):
            at_a_terminal.chdir(folder)
            at_a_terminal.setenv("COLUMNS", str(WIDTHS[n % len(WIDTHS)]))
            yield f"{name}: {line}: {printed(line)}"

    recorded.compare("printed-why-corpus", everything())


@pytest.mark.parametrize("name", ["show", "top", "lists", "why", "flames", "exports"])
def test_everything_is_printed_as_recorded(name: str, at_a_terminal: pytest.MonkeyPatch) -> None:
    def everything() -> Iterator[str]:
        for n, line in enumerate(sets()[name]):
            at_a_terminal.setenv("COLUMNS", str(WIDTHS[n % len(WIDTHS)]))
            yield f"{line}: {printed(line)}"

    recorded.compare(f"printed-{name}", everything())


def test_at_every_width_it_is_printed_as_recorded(at_a_terminal: pytest.MonkeyPatch) -> None:
    def everything() -> Iterator[str]:
        for width in (*range(44, 80, 6), 84, 92, *range(104, 160, 8)):
            at_a_terminal.setenv("COLUMNS", str(width))
            for line in AT_EVERY_WIDTH:
                said = printed(line.format("examples/failing/retry.dat"))
                texts = [text for text in json.loads(said)[1].splitlines() if not text.lstrip().startswith("kfgraph ")]
                assert width < 60 or max(map(cell_len, texts)) <= width
                yield f"{width} {line}: {said}"

    recorded.compare("printed-widths", everything())


@pytest.mark.usefixtures("at_a_terminal")
def test_pages_are_as_recorded() -> None:
    """The HTML of a page, without its data and the code that every page has."""

    def everything() -> Iterator[str]:
        for trace in (*FAILING, f"{CUT}/6.12-lost.dat", f"{TEXT}/7.2-report-widget-fail19.txt.xz"):
            code, out, err = kfgraph("html", trace)
            assert code == 0
            page = re.sub(r"<(script|style)\b.*?</\1>", r"<\1>", out, flags=re.DOTALL)
            page = re.sub(r"'sha256-[^']*'", "'sha256'", page)
            yield f"{trace}: {json.dumps([page, err], ensure_ascii=False)}"

    recorded.compare("printed-pages", everything())
