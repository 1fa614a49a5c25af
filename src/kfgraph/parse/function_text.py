"""The texts of the plain function tracer: the tracefs file ``trace``, and ``trace-cmd report``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kfgraph.errors import notice
from kfgraph.model.calls import UNKNOWN_CONTEXT
from kfgraph.model.marks import Marks
from kfgraph.model.trace import Trace, TraceMeta
from kfgraph.parse.assemble import symbols_of, task_table
from kfgraph.parse.function_tracer import Entries, trace_of
from kfgraph.parse.plaintext import PlainText
from kfgraph.parse.task_names import called
from kfgraph.parse.texts import decode

_LINE = re.compile(
    rb" *(?P<comm>.{1,16}?)-(?P<pid>\d+) +(?:\( *[-\d]+\) +)?\[(?P<cpu>\d+)\] +(?:(?P<letters>[^ :]{4,7}) +)?"
    rb"(?P<time>\d+\.\d+): +(?:function: +)?(?P<func>[^ :]+(?: \[[^\]]+\])?) +"
    rb"<--? ?(?P<caller>[^ :]+(?: \[[^\]]+\])?) *"
)
_LOST = re.compile(rb" *CPU:(\d+) \[(?:LOST )?(\d*) ?EVENTS(?: DROPPED)?\]")
_QUIET = re.compile(rb" *(?:#.*|cpus=\d+|version = .*|CPU \d+ is empty|)")
_GRAPH = re.compile(rb"funcgraph_e|fgraph_retaddr|\|  [^|]*[;{}] *$")
_LEVELS = {ord("h"): 2, ord("H"): 2, ord("s"): 1, ord("z"): 3, ord("Z"): 3}


def is_text(head: bytes) -> bool:
    """Whether the first lines of a text, which holds an ARROW, hold records of this tracer, and none of function_graph.
    """
    lines = head.split(b"\n")[:300]
    return any(_LINE.fullmatch(line.rstrip(b"\r")) for line in lines) and not any(map(_GRAPH.search, lines))


def load(source: PlainText, *, reader: str) -> Trace:
    """Read the text, of the tracefs file ``trace`` or of ``trace-cmd report``."""
    entries, codes = Entries(), {b"": 0}
    lanes: dict[tuple[int, int], int] = {}
    comms: dict[int, bytes] = {}
    former: dict[int, list[bytes]] = {}
    n_unread, first_unread, n_cpus = 0, b"", -1
    for raw in _lines(source.chunks()):
        line = raw.rstrip(b"\r")
        found = _LINE.fullmatch(line)
        if found is None:
            if loss := _LOST.match(line):
                entries.lost.append((len(entries.func), int(loss[1]), int(loss[2] or -1)))
            elif cpus := re.search(rb"#P:(\d+)|^cpus=(\d+)", line):
                n_cpus = min(int(cpus[1] or cpus[2]), 1 << 15)
            elif not _QUIET.fullmatch(line):
                n_unread, first_unread = n_unread + 1, first_unread or line
            continue
        pid, cpu = int(found["pid"]), int(found["cpu"])
        seconds, _, digits = found["time"].partition(b".")
        called(comms, former, pid, found["comm"])
        letters = found["letters"]
        entries.time.append(int(seconds) * 10**9 + int(digits[:9].ljust(9, b"0")))
        entries.lane.append(lanes.setdefault((pid, cpu if pid == 0 else -1), len(lanes)))
        entries.cpu.append(cpu)
        entries.func.append(codes.setdefault(found["func"], len(codes)))
        entries.caller.append(codes.setdefault(found["caller"], len(codes)))
        entries.context.append(UNKNOWN_CONTEXT if letters is None else max(_LEVELS.get(c, 0) for c in letters))
    symbols = symbols_of(codes)
    tasks = task_table(lanes, comms, former)
    notices = list(source.notices())
    if n_unread:
        notices.append(notice("unread-line", n_unread, details={"first": decode(first_unread[:200])}))
    meta = TraceMeta(path=source.name, reader=reader, n_cpus=n_cpus, n_records=len(entries.func))
    return trace_of(entries, symbols, tasks, meta, notices, Marks.empty())


def _lines(chunks: Iterable[bytes]) -> Iterable[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    yield rest
