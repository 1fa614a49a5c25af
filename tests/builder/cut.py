"""A recording cut down to the calls that matter, as a trace.dat of its own.

    python -m builder.cut TRACE.dat OUT.dat [--module FILE.ko] [--calls]

What is kept are the records themselves, byte by byte, and of the parts that describe them what these records need:
event formats, symbols, types, names of tasks. The companion comes along. ``why`` of the cut must be ``why`` of the
whole; the command checks that, and writes nothing where it is not so.
"""

from __future__ import annotations

import argparse
import json
import re
import struct
import sys
import tempfile
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import kfgraph
from builder.btf import excerpt
from builder.tracedat import Cpu, Extra, Kernel, records_in, trace_dat
from kfgraph.analyze.why import Why, why
from kfgraph.kernel.interrupts import level_of
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.model.companion import Companion
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace
from kfgraph.parse.tracedat.kallsyms import Kallsyms
from kfgraph.tracefile.contents import Contents, read_contents
from kfgraph.tracefile.layout import Buffer, Option

WHOLE = ("do_one_initcall", "parse_args")
"""Below these everything is kept: what a module does."""
AROUND = 2
"""So many levels are kept below the other calls on the way."""
_ID = re.compile(rb"^ID: (\d+)", re.MULTILINE)
_NAME = re.compile(rb"^name: (\w+)", re.MULTILINE)


@dataclass
class Record:
    """One record of a CPU: the time as it stands there, and its bytes from common_type on."""

    time: int
    body: bytes
    number: int
    flags: int
    pid: int


def records_of(contents: Contents, buffer: Buffer, cpu: int) -> Iterator[Record]:
    """The records of one CPU in their order."""
    kernel = Kernel(contents.big_endian, contents.header.long_size, buffer.page_size)
    data = next(data for data in buffer.cpus if data.cpu == cpu)
    for chunk in data.chunks:
        pages = contents.header.codec.chunk(data.source, chunk)
        for start in range(0, len(pages), buffer.page_size):
            for time, body in records_in(kernel, bytes(pages[start : start + buffer.page_size])):
                number, flags, _, pid = struct.unpack(f"{kernel.order}HBBi", body[:8])
                yield Record(time, body, number, flags, pid)


def kept_rows(
    trace: Trace, answer: Why, *, calls: bool, shallow: bool = False, around: int = AROUND
) -> np.ndarray:
    """Which calls stay: those on the error's way and the module's, all below a module's start, what is near.

    ``shallow``: below a module's start, too, only what is near the module's functions. ``calls``: all below the failing
    call, and every other system call of the command, without what it called.
    """
    table = trace.calls
    parent, names = table.parent, trace.symbols.names
    n = len(table)
    spine = np.zeros(n, np.bool_)
    ours = {module.name for module in trace.companion.modules} if trace.companion is not None else None
    of_module = np.array([bool(m) and (ours is None or m in ours) for m in trace.symbols.modules], np.bool_)[table.func]
    rows = [step.row for step in (*answer.chain, *answer.candidates, *answer.swallowed)]
    rows += np.flatnonzero(of_module).tolist()
    if answer.row >= 0:
        rows.append(answer.row)
    if answer.outcome == "nothing":
        loads = [system_call_of(name) in ("finit_module", "init_module") for name in names]
        rows += np.flatnonzero(np.array(loads, np.bool_)[table.func]).tolist()
    top = set()
    for row in rows:
        up = row
        while up >= 0 and not spine[up]:
            spine[up] = True
            up = int(parent[up])
        while up >= 0 and parent[up] >= 0:
            up = int(parent[up])
        top.add(up if up >= 0 else row)
    whole = np.array([plain_name(name) in WHOLE and not shallow for name in names], np.bool_)[table.func]
    if calls and answer.row >= 0:
        whole[answer.row] = True
    wrapper = np.array([level_of(name) > 0 for name in names], np.bool_)[table.func]
    # Levels below the way; below a module's start everything is as near as that.
    far = np.full(n, 99, np.int32)
    lanes = {int(table.lane[row]) for row in rows}
    for row in range(n):
        if table.lane[row] not in lanes:
            continue
        up = int(parent[row])
        if spine[row]:
            far[row] = -99 if whole[row] or (up >= 0 and far[up] <= -99) else 0
        elif up >= 0:
            inner = far[up] == -99 or (far[up] == 0 and whole[row])
            far[row] = 99 if wrapper[row] or far[up] == 99 else -99 if inner else far[up] + 1
    keep = far <= around
    if trace.command_lanes is not None and calls:
        kept = [bool(system_call_of(name)) or plain_name(name) == "__seccomp_filter" for name in names]
        handler = np.array(kept, np.bool_)[table.func]
        mine = np.isin(table.lane, sorted(trace.command_lanes))
        for row in np.flatnonzero(handler & mine).tolist():
            up = row
            while up >= 0 and not keep[up]:
                keep[up] = True
                up = int(parent[up])
    return keep


def rewrite(
    source: Path, take: Callable[[int, Record], Hashable], *, names: Trace, named: bool = True, btf: bytes = b"",
    compression: str = "zstd",
) -> dict[Hashable, bytes]:
    """The records of ``source`` in as many files as ``take`` (place of the CPU, record) names: False for none of them.

    Each with what describes its records. ``names`` is the same trace as read: what it names (``named``) beyond the
    file's own kallsyms, by the file of a module, is written into that. ``btf`` are the kernel's types, for a file that
    has none.
    """
    contents = read_contents(source)
    buffer = contents.buffer_named(None)
    events = formats(contents)
    entries = _numbers(events, "funcgraph_entry", "fgraph_retaddr_entry")
    retaddr = _numbers(events, "fgraph_retaddr_entry")
    kernel = Kernel(long_size=contents.header.long_size, page_size=buffer.page_size)
    parts: dict[Hashable, _Part] = {}
    for time, i, _, record in _merged(contents, buffer):
        which = take(i, record)
        if which is False:
            continue
        part = parts.get(which)
        if part is None:
            part = parts[which] = _Part([Cpu(kernel, data.cpu) for data in buffer.cpus])
        part.cpus[i].raw(time, record.body)
        part.used.add(record.number)
        part.pids.add(record.pid)
        if record.number in entries:
            part.addresses.add(int.from_bytes(record.body[8:16], "little"))
            if record.number in retaddr:
                part.addresses.add(int.from_bytes(record.body[24:32], "little"))
    found = {}
    for which, part in parts.items():
        symbols = _symbols(contents, part.addresses, names if named else None)
        extra = _extra(contents, buffer, events, part.used, part.pids, symbols, names, btf)
        cpus = [cpu for cpu in part.cpus if cpu.pages()]
        found[which] = trace_dat(kernel, cpus, symbols={}, extra=extra, compression=compression, small=True)
    return found


@dataclass
class _Part:
    cpus: list[Cpu]
    used: set[int] = field(default_factory=set)
    pids: set[int] = field(default_factory=set)
    addresses: set[int] = field(default_factory=set)


def _merged(contents: Contents, buffer: Buffer) -> list[tuple[int, int, int, Record]]:
    found = []
    for i, data in enumerate(buffer.cpus):
        found += [(record.time, i, n, record) for n, record in enumerate(records_of(contents, buffer, data.cpu))]
    return sorted(found, key=lambda item: item[:3])


def _numbers(events: dict[int, tuple[str, str, bytes]], *names: str) -> set[int]:
    return {number for number, (system, name, _) in events.items() if system == "ftrace" and name in names}


def of_tasks(source: Path, tasks: Mapping[int, set[str] | None], *, btf: bytes = b"") -> dict[int, bytes]:
    """The records of each of ``tasks``, by pid; of the events of kfgraph's return probes only those that are named
    (None: all)."""
    events = formats(read_contents(source))
    probes = {number: name for number, (system, name, _) in events.items() if system == "kfgraph"}

    def take(_: int, record: Record) -> Hashable:
        if record.pid not in tasks:
            return False
        wanted = tasks[record.pid]
        unwanted = wanted is not None and record.number in probes and probes[record.number] not in wanted
        return False if unwanted else record.pid

    found = rewrite(source, take, names=kfgraph.load(source), named=False, btf=btf)
    return {int(str(pid)): data for pid, data in found.items()}


def of_rows(source: Path, trace: Trace, keep: np.ndarray) -> bytes:
    """The records of the calls ``keep``, and the other events around the outermost of them."""
    events = formats(read_contents(source))
    entries = _numbers(events, "funcgraph_entry", "fgraph_retaddr_entry")
    exits = _numbers(events, "funcgraph_exit")
    places, windows = _places(trace), _windows(trace, keep)
    stacks: dict[int, list[tuple[int, bool]]] = defaultdict(list)

    def take(i: int, record: Record) -> Hashable:
        lane = record.pid or -1 - i
        if record.number in entries:
            rows = places.get((lane, record.time))
            taken = bool(keep[rows.popleft()]) if rows else False
            stacks[lane].append((int.from_bytes(record.body[16:20], "little"), taken))
            return taken
        if record.number not in exits:
            return any(low <= record.time <= high for low, high in windows.get(lane, ()))
        depth = _depth(record, events[record.number][2])
        while stacks[lane] and stacks[lane][-1][0] >= depth:
            was, taken = stacks[lane].pop()
            if was == depth:
                return taken
        return False

    return rewrite(source, take, names=trace)[True]


def _places(trace: Trace) -> dict[tuple[int, int], deque[int]]:
    calls = trace.calls
    found: dict[tuple[int, int], deque[int]] = defaultdict(deque)
    pids = [task.pid for task in trace.tasks.tasks]
    for row, (lane, start) in enumerate(zip(calls.lane.tolist(), calls.start_ns.tolist(), strict=True)):
        if pids[lane]:
            found[(pids[lane], start)].append(row)
    return found


def _windows(trace: Trace, keep: np.ndarray) -> dict[int, list[tuple[int, int]]]:
    """Pid -> the times of the outermost calls that stay, from the system call before to the one behind: what other
    events stand there are theirs."""
    calls = trace.calls
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    handler = np.array([bool(system_call_of(name)) for name in trace.symbols.names], np.bool_)
    roots = np.flatnonzero((calls.parent < 0) & (handler[calls.func] | keep))
    for i, row in enumerate(roots.tolist()):
        if not keep[row]:
            continue
        lane = int(calls.lane[row])
        before = int(roots[i - 1]) if i and calls.lane[roots[i - 1]] == lane else -1
        after = int(roots[i + 1]) if i + 1 < len(roots) and calls.lane[roots[i + 1]] == lane else -1
        low = 0 if before < 0 else int(calls.start_ns[before] + max(int(calls.duration_ns[before]), 0))
        found[trace.tasks[lane].pid].append((low, 1 << 62 if after < 0 else int(calls.start_ns[after])))
    return found


def _depth(record: Record, block: bytes) -> int:
    told = re.search(rb"field:[\w ]+ depth;\toffset:(\d+);\tsize:(\d+)", block)
    assert told is not None
    at = int(told[1])
    return int.from_bytes(record.body[at : at + 4], "little")


def formats(contents: Contents) -> dict[int, tuple[str, str, bytes]]:
    """Event id -> (system, name, block)."""
    found: dict[int, tuple[str, str, bytes]] = {}
    for option in (Option.FTRACE_EVENTS, Option.EVENT_FORMATS):
        section = contents.section(option)
        assert section is not None
        n_systems = 1 if option is Option.FTRACE_EVENTS else section.number(4, "systems")
        for _ in range(n_systems):
            system = "ftrace" if option is Option.FTRACE_EVENTS else section.string("a system")
            for _ in range(section.number(4, "events")):
                block = bytes(section.take(section.number(8, "a format"), "a format"))
                number, name = _ID.search(block), _NAME.search(block)
                assert number and name
                found[int(number[1])] = (system, name[1].decode(), block)
    return found


def _extra(
    contents: Contents, buffer: Buffer, events: dict[int, tuple[str, str, bytes]], used: set[int], pids: set[int],
    symbols: bytes, names: Trace, btf: bytes,
) -> Extra:  # fmt: skip
    kernel = Kernel(big_endian=contents.big_endian, long_size=contents.header.long_size)
    graph = [b for system, name, b in events.values() if system == "ftrace" and re.match("funcgraph|fgraph", name)]
    systems: dict[str, list[bytes]] = defaultdict(list)
    for number in sorted(used):
        system, _, block = events[number]
        if system != "ftrace":
            systems[system].append(block)
    ftrace = kernel.pack("I", len(graph)) + b"".join(kernel.pack("Q", len(b)) + b for b in graph)
    others = kernel.pack("I", len(systems))
    for system, blocks in systems.items():
        others += system.encode() + b"\0" + kernel.pack("I", len(blocks))
        others += b"".join(kernel.pack("Q", len(b)) + b for b in blocks)
    header = contents.section(Option.HEADER_INFO)
    assert header is not None
    comms = _comms(contents, pids)
    sections = {}
    own = contents.section(Option.BTF)
    btf = btf if own is None else bytes(own.data)
    if btf:
        sections[int(Option.BTF)] = excerpt(btf, set(names.symbols.names))
    modules = contents.section(Option.MODULES)
    if modules is not None:
        sections[int(Option.MODULES)] = bytes(modules.data)
    skipped = {int(o) for o in Option if 16 <= o <= 25} | {int(Option.BUFFER), 0, int(Option.CPUSTAT)}
    return Extra(
        instead={
            16: bytes(header.data), 17: ftrace, 18: others, 19: kernel.pack("I", len(symbols)) + symbols,
            20: kernel.pack("I", 0), 21: kernel.pack("Q", len(comms)) + comms,
        },
        sections=sections,
        all_options=[(number, bytes(data)) for number, data, _ in contents.options.items if number not in skipped],
        clock=buffer.clock or "local",
    )  # fmt: skip


def _symbols(contents: Contents, addresses: set[int], names: Trace | None) -> bytes:
    """The lines of kallsyms that name the addresses; for one without a name what stands around it. What ``names``
    knows beyond them comes behind them."""
    section = contents.section(Option.KALLSYMS)
    assert section is not None
    text = bytes(section.take(section.number(4, "kallsyms"), "kallsyms"))
    table = Kallsyms(text)
    wanted = np.array(sorted(addresses), np.uint64)
    known = {}
    if names is not None and (names.companion is None or not names.companion.probes):
        symbols = names.symbols
        codes = np.flatnonzero(symbols.resolved)
        known = {int(symbols.addresses[c]): (symbols.names[c], symbols.modules[c]) for c in codes.tolist()}
    keep, more = set[int](), []
    for address, symbol in zip(wanted.tolist(), table.resolve(wanted), strict=True):
        if symbol is not None:
            keep.add(symbol.start)
        elif address in known and known[address][1]:
            more.append("{:016x} t {}\t[{}]\n".format(address, *known[address]).encode())
        else:
            at = int(np.searchsorted(table.address, np.uint64(address), side="right"))
            keep |= {int(a) for a in table.address[max(at - 1, 0) : at + 1]}
    lines = [line + b"\n" for line in text.split(b"\n") if line]

    def stays(line: bytes) -> bool:
        address, kind = line.split(b" ", 2)[:2]
        return int(address, 16) in keep and kind not in (b"a", b"A")

    return b"".join([*filter(stays, lines), *more])


def _comms(contents: Contents, pids: set[int]) -> bytes:
    section = contents.section(Option.CMDLINES)
    if section is None:
        return b""
    text = bytes(section.take(section.number(8, "names"), "names"))
    lines = [line for line in text.split(b"\n") if line.partition(b" ")[0].isdigit()]
    return b"".join(line + b"\n" for line in lines if int(line.partition(b" ")[0]) in pids)


def companion_of(companion: Companion | None, *, probes: set[str] | None = None, **changed: Any) -> dict[str, Any]:
    """What of a companion a cut needs; empty where there is none."""
    if companion is None:
        return {}
    data = companion.to_dict()
    modules = changed.pop("modules", None)
    return {
        "format": data["format"],
        "kfgraph_version": data["kfgraph_version"],
        "argv": list(companion.argv),
        "kernel": companion.kernel,
        "pids": list(companion.pids),
        "follow": companion.follow,
        "exit_status": companion.exit_status,
        "probes": [p for p in data["probes"] if probes is None or p["event"] in probes],
        "modules": [
            {**m, "path": Path(m["path"]).name} for m in data["modules"] if modules is None or m["name"] in modules
        ],
        **changed,
    }


def told(answer: Why) -> dict[str, Any]:
    """What of an answer a cut must keep."""
    data = answer.to_dict()

    def plain_step(step: dict[str, Any]) -> dict[str, Any]:
        kept = {k: v for k, v in step.items() if k not in ("row", "nth", "earlier")}
        return {**kept, "birth": plain_step(step["birth"])} if step.get("birth") else kept

    return {
        "outcome": data["outcome"],
        "failure": {k: v for k, v in (data["failure"] or {}).items() if k != "row"},
        "birth": data["birth"] and plain_step(data["birth"]),
        "chain": [plain_step(step) for step in data["chain"]],
        "candidates": [plain_step(step) for step in data["candidates"]],
        "swallowed": [plain_step(step) for step in data["swallowed"]],
        "never_ran": data["never_ran"],
        "reason": data["reason"],
    }


def write(
    source: Path, out: Path, *, modules: Sequence[Path] = (), calls: bool = False, shallow: bool = False
) -> str:
    """Cut ``source`` into ``out``; the reason why that cannot be, "" where it was done."""
    trace = kfgraph.load(source, modules=[str(module) for module in modules])
    answer = why(trace)
    whole = told(answer)
    data = of_rows(source, trace, kept_rows(trace, answer, calls=calls, shallow=shallow))
    companion = companion_of(trace.companion)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / out.name
        put(file, data, companion)
        part = told(why(kfgraph.load(file)))
    if part != whole:
        different = {key: (whole[key], part[key]) for key in whole if whole[key] != part[key]}
        return f"{source.name}: the cut tells another story: {json.dumps(different)[:2000]}"
    put(out, data, companion)
    return ""


def put(file: Path, data: bytes, companion: dict[str, Any]) -> None:
    """Write a trace and its companion."""
    file.write_bytes(data)
    if companion:
        Path(f"{file}.kfgraph.json").write_text(json.dumps(companion, separators=(",", ":")) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--module", type=Path, action="append", default=[])
    parser.add_argument("--calls", action="store_true", help="keep every system call, without what is below it")
    parser.add_argument("--shallow", action="store_true", help="of a module's work only what is near its functions")
    arguments = parser.parse_args()
    options = {"modules": arguments.module, "calls": arguments.calls, "shallow": arguments.shallow}
    problem = write(arguments.source, arguments.out, **options)
    if problem:
        print(problem, file=sys.stderr)
    return int(bool(problem))


if __name__ == "__main__":
    sys.exit(main())
