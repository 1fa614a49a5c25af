"""kfgraph's own columns against what trace-cmd prints of the same files, byte for byte."""

from __future__ import annotations

import itertools
import lzma
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kfgraph
from kfgraph.parse.records import ENTRY, EXIT, LOSS
from kfgraph.parse.tracedat import records
from kfgraph.parse.tracedat.raw import Record
from kfgraph.tracefile.contents import read_contents
from kfgraph.tracefile.layout import Option
from tracedat.report_text import Printer

FILES = {
    "6.1/insmod-dummy-lossy.dat": 107_816,
    "6.1/ls-2M-events.dat": 1_475_762,
    "6.1/pipe-syscalls-sched.dat": 275_402,
    "6.1/widget-fail19-probes.dat": 285_721,
    "6.1/widget-fail19-probes-pruned.dat": 7_795,
    "6.1-i386/true.dat": 31_569,
    "6.1-i386/lossy.dat": 98_665,
    "6.1-s390x/true.dat": 26_731,
    "6.1-s390x/lossy.dat": 91_536,
    "6.12/insmod-dummy.dat": 215_954,
    "6.12/ls-lost.dat": 293_003,
    "6.12/thresh.dat": 1_040,
    "6.12/true-tsc.dat": 41_399,
    "6.12/true-v6.dat.xz": 44_150,
    "6.12/system.dat": 114_335,
    "7.2-s390x/true.dat": 44_152,
    "7.2/insmod-dummy-args.dat": 217_124,
    "7.2/pipe-syscalls-sched.dat": 309_731,
    "7.2-retval/widget-ok.dat": 310_250,
    "7.2-retval/widget-fail19.dat": 313_070,
    "7.2-retval/widget-fail19-args-retaddr.dat": 310_811,
    "7.2-retval/open-enoent.dat": 45_088,
}
"""Each file and its number of funcgraph lines and losses in the report."""
SMALL = ("6.1/widget-fail19-probes-pruned.dat", "6.12/thresh.dat")
"""Compared without KFGRAPH_THOROUGH=1 too: names that trace-cmd makes up, which CUTS have not."""
CUT = Path(__file__).resolve().parent.parent / "fixtures" / "traces" / "cut"
CUTS = {
    "6.1-lossy.dat": 1_321,
    "6.1-probes.dat": 596,
    "6.1-syscalls.dat": 1_634,
    "6.12-lost.dat": 2_126,
    "6.12-system.dat": 1_215,
    "6.12-thresh.dat": 550,
    "6.12-tsc.dat": 1_098,
    "6.12-v6.dat.xz": 1_109,
    "7.2-args.dat": 749,
    "7.2-retaddr.dat": 950,
    "7.2-retval.dat": 1_480,
    "7.2-syscalls.dat": 1_541,
    "i386-lossy.dat": 729,
    "i386-true.dat": 745,
    "s390x-7.2.dat": 1_351,
    "s390x-lossy.dat": 2_005,
}
"""The same of real traces cut to some of their pages (builder.pagecut), which come with the repository."""
ONLY_NEWER = {"7.2-retaddr.dat"}
"""Their report is of a form that trace-cmd 3.1.6 does not know."""
RENAMED = {
    "6.1/widget-fail19-probes.dat": 10,
    "6.1/widget-fail19-probes-pruned.dat": 1,
    # The last symbol of the list: trace-cmd's search stops before it.
    "6.12/insmod-dummy.dat": 1,
}
"""Lines whose function trace-cmd names by a symbol that is no text, or not at all."""
GRAPH_LINE = re.compile(r": (?:funcgraph_|fgraph_)|EVENTS DROPPED\]")
FUNCTION = re.compile(r"\|  (?: *)(\S+?)\(\)")


@pytest.fixture(params=FILES)
def real_trace(request: pytest.FixtureRequest) -> Path:
    """Each of FILES, as far as they are to be compared."""
    folder: Path = request.getfixturevalue("shared_traces" if request.param in SMALL else "large_traces")
    return folder / request.param


def plain_file(path: Path, folder: Path) -> Path:
    """The file, unpacked where it is packed."""
    if path.suffix != ".xz":
        return path
    unpacked = folder / path.stem
    unpacked.write_bytes(lzma.decompress(path.read_bytes()))
    return unpacked


def report_of(path: Path, given: Path, program: Callable[[str, str], str]) -> tuple[Iterator[str], bool]:
    """Lines of the report, and whether a newer trace-cmd than 3.1.6 made it."""
    texts = sorted(given.parent.glob(given.name.partition(".dat")[0] + ".report-*.txt.xz"))
    if texts:
        with lzma.open(texts[0], "rt", errors="replace") as text:
            return iter(text.read().split("\n")), "3.4" in texts[0].name
    trace_cmd = program("trace-cmd", "trace-cmd")
    done = subprocess.run([trace_cmd, "report", str(path)], capture_output=True, check=True)
    return iter(done.stdout.decode(errors="replace").split("\n")), False


def comparable(line: str, newer: bool) -> str:
    """The line without what 3.4 adds: the latency column and the arguments."""
    if newer:
        line = re.sub(r"(\[\d+\]) \S{5} ", r"\1 ", line, count=1)
        line = re.sub(r"\(.*?\)( \{|;| /\*)", r"()\1", line, count=1)
    return line


@pytest.mark.parametrize("name", sorted(CUTS.keys() - ONLY_NEWER))
def test_the_report_of_a_cut_is_made_again(
    name: str, tmp_path: Path, program: Callable[[str, str], str]
) -> None:
    compare(CUT / name, tmp_path, program, n_lines=CUTS[name], n_renamed=0)


def test_the_cuts_are_of_every_kind() -> None:
    assert CUTS.keys() == {path.name for path in CUT.iterdir()}
    kinds: dict[str, set[object]] = {"kernel": set(), "arch": set(), "clock": set()}
    lossy, retval, args, callers = set(), set(), set(), set()
    for name in CUTS:
        trace = kfgraph.load(CUT / name)
        calls = trace.calls
        kinds["kernel"].add(".".join(trace.meta.kernel.split(".")[:2]))
        kinds["arch"].add(trace.meta.arch)
        kinds["clock"].add(trace.meta.clock)
        for column, names in ((calls.retval, retval), (calls.args, args), (calls.caller, callers)):
            if column is not None:
                names.add(name)
        if len(trace.losses):
            lossy.add(name)
    assert kinds["kernel"] == {"6.1", "6.12", "7.2"}
    assert kinds["arch"] == {"x86_64", "i686", "s390x"} and kinds["clock"] == {"local", "global", "x86-tsc"}
    assert lossy == {"6.1-lossy.dat", "6.12-lost.dat", "i386-lossy.dat", "s390x-lossy.dat"}
    assert retval == {"7.2-retval.dat", "7.2-retaddr.dat"} and callers == {"7.2-retaddr.dat"}
    assert args == {"7.2-args.dat", "7.2-syscalls.dat", "7.2-retval.dat", "7.2-retaddr.dat", "s390x-7.2.dat"}


def test_the_report_is_made_again(real_trace: Path, tmp_path: Path, program: Callable[[str, str], str]) -> None:
    name = f"{real_trace.parent.name}/{real_trace.name}"
    compare(real_trace, tmp_path, program, n_lines=FILES[name], n_renamed=RENAMED.get(name, 0))


def test_the_fixtures_report_is_made_again(tmp_path: Path, program: Callable[[str, str], str]) -> None:
    given = Path(__file__).resolve().parent.parent / "fixtures" / "traces" / "s390x-true.dat"
    compare(given, tmp_path, program, n_lines=FILES["6.1-s390x/true.dat"], n_renamed=0)


def compare(
    given: Path, tmp_path: Path, program: Callable[[str, str], str], *, n_lines: int, n_renamed: int
) -> None:
    path = plain_file(given, tmp_path)
    report, newer = report_of(path, given, program)
    theirs = (comparable(line, newer) for line in report if GRAPH_LINE.search(line))
    printer = Printer(path, newer=newer)
    kinds = kinds_of_symbols(path)
    n = renamed = 0
    for their, our in itertools.zip_longest(theirs, printer.lines()):
        n += 1
        if their == our:
            continue
        assert their is not None and our is not None, f"line {n} on one side only: {their!r} {our!r}"
        their_name, our_name = FUNCTION.search(their), FUNCTION.search(our)
        assert their_name is not None and our_name is not None, f"line {n}: {their!r} {our!r}"
        assert their.replace(their_name[1], our_name[1], 1) == our, f"line {n}: {their!r} {our!r}"
        if their_name[1] in kinds:
            assert not kinds[their_name[1]] & set("tTwW"), f"line {n}: {their_name[1]} is text"
            assert re.fullmatch("[0-9a-f]+", our_name[1]), f"line {n}: another name than trace-cmd's: {our_name[1]}"
        else:
            assert re.fullmatch("[0-9a-f]+", their_name[1]) and kinds[our_name[1]] <= set("tTwW")
        renamed += 1
    assert n == n_lines
    assert renamed == n_renamed


def kinds_of_symbols(path: Path) -> dict[str, set[str]]:
    """Name -> the types that its symbols have in the file's kallsyms."""
    contents = read_contents(path)
    section = contents.section(Option.KALLSYMS)
    assert section is not None
    text = section.take(section.number(4, "kallsyms"), "kallsyms").decode()
    contents.close()
    kinds: dict[str, set[str]] = {}
    for line in text.splitlines():
        _, kind, name = line.split("\t")[0].split()
        kinds.setdefault(name, set()).add(kind)
    return kinds


RAW_LINE = re.compile(r"-(\d+) +(\d+)-0x([0-9a-f .]+): (\w+): +(.*)$")
GRAPH_EVENT = re.compile(rb": (?:funcgraph_|fgraph_)\w+: ")


def raw_lines(path: Path, trace_cmd: str) -> Iterator[str]:
    """The funcgraph records of ``trace-cmd report -R -t -l``."""
    with subprocess.Popen(
        [trace_cmd, "report", "-R", "-t", "-l", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if GRAPH_EVENT.search(line):
                yield line.decode(errors="replace").rstrip("\n")
    assert child.returncode == 0


@pytest.mark.parametrize("name", CUTS)
def test_every_field_of_every_record_of_a_cut(
    name: str, tmp_path: Path, program: Callable[[str, str], str]
) -> None:
    every_field(CUT / name, tmp_path, program, n_lines=CUTS[name])


def test_every_field_of_every_record(real_trace: Path, tmp_path: Path, program: Callable[[str, str], str]) -> None:
    every_field(real_trace, tmp_path, program, n_lines=FILES[f"{real_trace.parent.name}/{real_trace.name}"])


def every_field(given: Path, tmp_path: Path, program: Callable[[str, str], str], *, n_lines: int) -> None:
    path = plain_file(given, tmp_path)
    trace_cmd = program("trace-cmd", "trace-cmd")
    printer = Printer(path)
    callers = printer.callers() if printer.trace.calls.caller is not None else {}
    graph = (record for record in records(path) if record.kind in (ENTRY, EXIT))
    n = 0
    for line in raw_lines(path, trace_cmd):
        record = next(graph)
        n += 1
        when = f"{record.flags:x}" + (
            f" {record.time // 10**9:5d}.{record.time % 10**9:09d}" if printer.in_ns else f"{record.time}"
        )
        # As 3.1.6 prints most of them; what it prints otherwise is taken apart.
        expected = f"func={printer.names[record.func]} depth={record.depth}"
        event = "funcgraph_entry:       "
        if record.kind == EXIT:
            event = "funcgraph_exit:        "
            expected += f" overrun={record.overrun} calltime={record.calltime:x} rettime={record.rettime:x}"
        end = f"{record.cpu}-0x{when}: {event}{expected}"
        if not (line.endswith(end) and line[: -len(end)].rstrip().endswith(f"-{record.pid}")):
            same_record(line, record, when, printer, callers)
    assert next(graph, None) is None
    n_lost = sum(1 for r in records(path) if r.kind == LOSS)
    assert n + n_lost >= n_lines
    assert n_lost == len(printer.trace.losses)


def same_record(line: str, record: Record, when: str, printer: Printer, callers: dict[int, str]) -> None:
    """Assert that each field that the line tells is the record's."""
    found = RAW_LINE.search(line)
    assert found is not None, line
    pid, cpu, flags_and_time, event, text = found.groups()
    assert (int(pid), int(cpu), flags_and_time) == (record.pid, record.cpu, when), line
    assert (record.kind == EXIT) == (event == "funcgraph_exit"), line
    told = dict(word.split("=", 1) for word in text.split())
    ours = {"depth": str(record.depth), "func": printer.names[record.func]}
    if event == "funcgraph_exit":
        ours |= {"overrun": str(record.overrun)}
        for key in ("calltime", "rettime"):
            assert int(told.pop(key), 16) == getattr(record, key), line
        if "retval" in told:
            assert int(told.pop("retval"), 16) == record.retval & (1 << 64) - 1, line
    elif event == "fgraph_retaddr_entry":
        ours |= {"retaddr": callers.get(record.caller, "")}
    told.pop("args", None)
    # A name from data, where we have none; none behind its last symbol, where we have one.
    if not ours["func"] or told["func"] == f"0x{record.func:x}":
        ours["func"] = told["func"]
    if not ours.get("retaddr", "?"):
        ours["retaddr"] = told["retaddr"]
    assert told == ours, line
