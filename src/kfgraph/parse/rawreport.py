"""A trace.dat through ``trace-cmd report -R -t -l``: every record with ns, depth, calltime, rettime and flags.

The raw form cuts comms to 8 characters; the saved command lines in the file have them whole. What it
does not tell at all: arguments, and the module of a function.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

from kfgraph.errors import InputError, MachineError, notice
from kfgraph.model.trace import Trace, TraceMeta
from kfgraph.parse.assemble import assemble
from kfgraph.parse.input import Input
from kfgraph.parse.pairing import Pairer
from kfgraph.parse.report import scan
from kfgraph.parse.scan_report import ReportScanner
from kfgraph.programs import Overrun, Program, bounds_for, run

MAGIC = b"\x17\x08\x44tracing"
_NS_CLOCKS = frozenset(("local", "global", "perf", "mono", "mono_raw", "boot", "tai"))
_RAW_COMM = 8
_FACTS = 16 << 20
"""More than trace-cmd has to say about a file: its command lines are 32,768 at most."""
_DAMAGED_HINT = "the file is damaged or was cut; `trace-cmd dump --summary -i FILE` shows what is left of it"


def report_argv(path: Path) -> list[str]:
    """The command that prints every record of the file raw."""
    return ["trace-cmd", "report", "-R", "-t", "-l", "-i", os.fspath(path)]


def load(source: Input, *, buffer: str | None = None) -> Trace:
    """Read a trace.dat with trace-cmd; of several buffers the one named, the main one by default.

    Raises:
        NoMatchError: it has no records of that buffer.
        InputError: trace-cmd cannot read it, or it has no function_graph records.
        MachineError: there is no trace-cmd.
    """
    if shutil.which("trace-cmd") is None:
        raise MachineError(
            "trace-cmd is not installed, and this reader needs it",
            "`apt-get install trace-cmd`, or leave --reader out",
        )
    try:
        return _load(source, buffer=buffer)
    except Overrun as overrun:
        hint = "leave --reader out: kfgraph's own reader takes files that trace-cmd cannot"
        raise InputError(f"{source.name}: trace-cmd cannot read this file: {overrun}", hint) from None


def _load(source: Input, *, buffer: str | None) -> Trace:
    with source.as_file() as path:
        meta = replace(_meta(_output(path, "dump", "--options")), path=source.name, reader="report")
        local = meta.clock == "local"
        pairer = Pairer(retval=True, caller=True, same_clock=local)
        scanner = ReportScanner(
            pairer.feed,
            first_time=-1 if meta.clock in _NS_CLOCKS else _first_event(path),
            buffer=(buffer or "").encode(),
            # Each line then begins with the buffer's name, a colon and a blank.
            width=max(map(len, meta.buffers), default=0) + 2 if any(meta.buffers) else 0,
        )
        with Program(report_argv(path), bounds_for(path)) as program:
            # A cut last line is trace-cmd's death, which its status tells.
            scan(scanner, program.chunks())
            status = program.status()
            complaint = program.complaint.decode("utf-8", "backslashreplace").strip()
        facts = scanner.facts()
        facts["comms"] = _whole_comms(facts["comms"], path)
    if not facts["n_lines"] or (status and not facts["n_calls"]):
        said = complaint.splitlines()[0] if complaint else "it says nothing"
        raise InputError(f"{source.name}: trace-cmd cannot read this file ({said})", _DAMAGED_HINT)
    notices = source.notices()
    if status or complaint:
        first = complaint.splitlines()[0] if complaint else f"exit status {status}"
        details = {"status": status, "said": complaint[:1000]}
        notices.append(notice("trace-cmd", details=details, first=first))
    paired = pairer.finish(clock_is_ns=not facts["ticks"])
    return assemble(paired, facts, meta, notices, buffer=buffer or "")


def _output(path: Path, *arguments: str) -> str:
    """What a trace-cmd command prints of facts about the file; "" where it fails.

    Raises:
        Overrun: more than facts.
    """
    return run(["trace-cmd", *arguments, "-i", path], replace(bounds_for(path), n_bytes=_FACTS)).text


def _meta(options: str) -> TraceMeta:
    """What ``trace-cmd dump --options`` says about where the file comes from."""
    system = re.search(r"\[Option UNAME,.*\n\S+ (\S+) (\S+) (\S+)", options)
    version = re.search(r"\[Option VERSION,.*\n(\S+)", options)
    # v7 names the clock of each buffer, v6 has the kernel's list with the current one in brackets.
    clock = re.search(r'^"([^"]*)" \[clock\]', options, re.MULTILINE) or re.search(
        r"\[Option TRACECLOCK,.*\n.*\[([^\]]+)\]", options
    )
    cpus = re.search(r"\[Option CPUCOUNT,.*\n(\d+)", options)
    overruns = re.findall(r"^overrun: (\d+)", options, re.MULTILINE)
    return TraceMeta(
        kernel=system[2] if system else "",
        host=system[1] if system else "",
        arch=system[3] if system else "",
        recorder=f"trace-cmd {version[1]}" if version else "",
        clock=clock[1] if clock else "",
        n_cpus=int(cpus[1]) if cpus else -1,
        n_overrun=sum(map(int, overruns)) if overruns else -1,
        buffers=tuple(re.findall(r'^"([^"]*)" \[name\]', options, re.MULTILINE)),
    )


def _first_event(path: Path) -> int:
    """The first timestamp of the file in its own ticks, or -1."""
    ticks = re.findall(r"First event:(\d+)", _output(path, "report", "--first-event"))
    return min(map(int, ticks), default=-1)


def _whole_comms(comms: dict[int, bytes], path: Path) -> dict[int, bytes]:
    """The comms with the saved command lines put in where they were cut."""
    if all(len(comm) < _RAW_COMM for comm in comms.values()):
        return comms
    lines = re.findall(r"^(\d+) (.*)$", _output(path, "dump", "--cmd-lines"), re.MULTILINE)
    saved = {int(pid): comm.encode() for pid, comm in lines}
    return {
        pid: saved[pid] if len(comm) == _RAW_COMM and saved.get(pid, b"").startswith(comm) else comm
        for pid, comm in comms.items()
    }
