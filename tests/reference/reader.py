"""A reader of `trace-cmd report` text in a few dozen lines, which shares no code with kfgraph.

Slow and plain: one regular expression a line, one stack a task. Only for traces without losses is what
it makes of the exits exact; entries are exact always.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

LINE = re.compile(
    r"^(?P<comm>.{16})-(?P<pid>\d+) +\[(?P<cpu>\d+)\] (?:[^\d\s]\S+)? *"
    r"(?P<time>\d+\.\d+|\d+): (?P<event>\w+):(?P<text>.*)$"
)
FUNCTION = re.compile(r"^ *[-+!#*@$]? *(?:(?P<us>[\d.]+) us)? *\|  (?P<indent> *)(?P<text>.*)$")
LOST = re.compile(r"^CPU:(\d+) \[(\d*) ?EVENTS DROPPED\]$")
RETVAL = re.compile(r"\(ret=(0x[0-9a-f]+|-?\d+)\)$")


@dataclass
class Call:
    name: str
    depth: int
    duration_ns: int | None = None
    retval: int | None = None
    has_entry: bool = True
    time: Decimal = field(default=Decimal(-1), repr=False)


@dataclass
class Text:
    """``calls`` by (pid, cpu or -1), in the order of their entries; ``other`` events by name; ``lost`` counts."""

    calls: dict[tuple[int, int], list[Call]] = field(default_factory=dict)
    other: dict[str, int] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    comms: dict[int, str] = field(default_factory=dict)


def is_of_leaf(call: Call, depth: int, time: Decimal, duration_ns: int | None) -> bool:
    """Idle tasks of all CPUs are pid 0: trace-cmd made a leaf of an entry and another CPU's exit."""
    if call.duration_ns is None or duration_ns is None or call.depth != depth or not call.has_entry:
        return False
    return abs(time - call.time - Decimal(duration_ns) / 10**9) <= Decimal("0.000005")


def read(lines: Iterable[str]) -> Text:
    text = Text()
    stacks: dict[tuple[int, int], list[Call]] = {}
    for line in lines:
        if loss := LOST.match(line):
            text.lost.append(int(loss[2] or -1))
            continue
        record = LINE.match(line)
        if record is None:
            assert re.match(r"cpus=\d+$|CPU \d+ is empty$", line), line
            continue
        pid = int(record["pid"])
        text.comms.setdefault(pid, record["comm"].strip())
        if record["event"] not in ("funcgraph_entry", "funcgraph_exit", "fgraph_retaddr_entry"):
            text.other[record["event"]] = text.other.get(record["event"], 0) + 1
            continue
        lane = (pid, int(record["cpu"]) if pid == 0 else -1)
        calls, stack = text.calls.setdefault(lane, []), stacks.setdefault(lane, [])
        function = FUNCTION.match(record["text"])
        assert function, line
        depth = len(function["indent"]) // 2
        duration = int(Decimal(function["us"]) * 1000) if function["us"] else None
        retval = RETVAL.search(function["text"])
        value = int(retval[1], 0) if retval else None
        while stack and stack[-1].depth > depth:
            stack.pop()  # returned unseen
        if function["text"].startswith("}"):
            if not (stack and stack[-1].depth == depth):
                leaf = next((call for call in reversed(calls) if call.depth <= depth), None)
                if not (pid == 0 and leaf and is_of_leaf(leaf, depth, Decimal(record["time"]), duration)):
                    calls.append(leaf := Call("", depth, has_entry=False))
                stack.append(leaf)
            stack[-1].duration_ns, stack[-1].retval = duration, value
            stack.pop()
            continue
        # Beside a call that is open: an interrupt at its end. Two of them: both have returned unseen.
        if [call.depth for call in stack[-2:]] == [depth, depth]:
            del stack[-2:]
        calls.append(Call(re.split(r"[()]", function["text"])[0], depth, duration, value))
        calls[-1].time = Decimal(record["time"])
        if duration is None:
            stack.append(calls[-1])
    return text
