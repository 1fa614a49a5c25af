"""What `trace-cmd report` prints of funcgraph records, made again from kfgraph's own columns.

Written after trace-ftrace.c and trace-read.c of trace-cmd 3.1.6 and 3.4. Entries whose exit is the very
next record of all CPUs print as one line; an exit after a loss is swallowed with its loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kfgraph.parse.records import ENTRY, EXIT, LOSS
from kfgraph.parse.tracedat import read, records
from kfgraph.parse.tracedat.codenames import Names
from kfgraph.parse.tracedat.raw import Record
from kfgraph.tracefile.contents import read_contents

ERRNO = 4095


class Printer:
    """Lines of one file. ``newer``: as 3.4 prints them, without the latency column and the arguments."""

    def __init__(self, path: Path, *, newer: bool = False, buffer: str | None = None) -> None:
        self.path, self.newer, self.buffer = path, newer, buffer
        trace = read(path, buffer=buffer)
        self.trace = trace
        self.names = {
            int(address): trace.symbols.names[code] if trace.symbols.resolved[code] else ""
            for code, address in enumerate(trace.symbols.addresses)
        }
        self.comms = {task.pid: task.comm for task in trace.tasks.tasks if task.comm}
        self.in_ns = trace.meta.clock_unit == "ns"
        self.has_retval = trace.calls.retval is not None
        self.long_bits = 8 * trace.meta.details["long_size"]

    def callers(self) -> dict[int, str]:
        """Return address -> name of the function it lies in."""
        import numpy as np

        addresses = sorted({r.caller for r in records(self.path) if r.caller})
        contents = read_contents(self.path)
        found = Names(contents)._read().resolve(np.array(addresses, np.uint64))
        contents.close()
        return {address: symbol.name for address, symbol in zip(addresses, found, strict=True) if symbol}

    def head(self, record: Record, name: str) -> str:
        comm = "<idle>" if record.pid == 0 else self.comms.get(record.pid, "<...>")
        if self.in_ns:
            us = (record.time + 500) // 1000
            time = f"{us // 1_000_000:6d}.{us % 1_000_000:06d}"
        else:
            time = f"{record.time:6d}"
        return f"{comm:>16s}-{record.pid:<5d} [{record.cpu:03d}]{time}: {name + ':':<22s}"

    def lines(self) -> Iterator[str]:
        """The funcgraph lines and the lines of losses, in order."""
        has_retaddr = self.trace.calls.caller is not None
        callers = self.callers() if has_retaddr else {}
        stream = records(self.path, buffer=self.buffer)
        waiting: list[Record] = []

        def following() -> Record | None:
            return waiting.pop(0) if waiting else next(stream, None)

        while (record := following()) is not None:
            if record.kind == LOSS:
                after = following()
                if after is not None:
                    yield f"CPU:{record.cpu} [{record.n_lost} EVENTS DROPPED]" if record.n_lost > 0 else (
                        f"CPU:{record.cpu} [EVENTS DROPPED]"
                    )
                    waiting.insert(0, after)
            elif record.kind == EXIT:
                yield (
                    self.head(record, "funcgraph_exit")
                    + _duration(record)
                    + "  " * record.depth
                    + "}"
                    + self.returned(record)
                )
            elif record.kind == ENTRY:
                ahead = [r for r in (following(),) if r is not None]
                if ahead and ahead[0].kind == LOSS:
                    ahead += [r for r in (following(),) if r is not None]
                exit_ = ahead[-1] if ahead else None
                name = self.names[record.func]
                event = "fgraph_retaddr_entry" if record.caller and self.newer else "funcgraph_entry"
                caller = callers.get(record.caller, "")
                if (
                    exit_ is not None
                    and exit_.kind == EXIT
                    and (exit_.pid, exit_.func) == (record.pid, record.func)
                    # 3.1.6 takes another CPU's exit too: all idle tasks have pid 0.
                    and (exit_.cpu == record.cpu or not self.newer)
                ):
                    text = _duration(exit_) + "  " * record.depth + (name or f"{record.func:x}") + "();"
                    if caller:
                        text += f" /* <-{caller} */"
                    yield self.head(record, event) + text + self.returned(exit_)
                    if exit_.cpu != record.cpu:
                        # 3.1.6 has the exit's CPU at the head of its queue still: that CPU's next record comes now.
                        ahead = []
                        while (r := following()) is not None:
                            ahead.append(r)
                            if r.cpu == exit_.cpu and r.kind != LOSS:
                                break
                        moved = [r for r in ahead if r.cpu == exit_.cpu]
                        waiting[:0] = moved + [r for r in ahead if r.cpu != exit_.cpu]
                    continue
                waiting[:0] = ahead
                text = "             |  " + "  " * record.depth
                if self.newer and not name:
                    text += f"{record.func:x}() /* <-{caller} */ {{" if caller else ") {"
                else:
                    text += (name or f"{record.func:x}") + "()" + (f" /* <-{caller} */" if caller else "") + " {"
                yield self.head(record, event) + text

    def returned(self, record: Record) -> str:
        if not (self.newer and self.has_retval):
            return ""
        value = record.retval & (1 << 64) - 1
        if value >= (1 << 64) - ERRNO:
            return f" (ret={value - (1 << 64)})"
        return f" (ret=0x{value:x})"


def _duration(record: Record) -> str:
    ns = (record.rettime - record.calltime) & (1 << 64) - 1
    mark = next((m for m, least in (("$", 10**9), ("#", 10**6), ("!", 10**5), ("+", 10**4)) if ns > least), " ")
    text = f"{ns // 1000}"
    if len(text) < 7:
        text += f".{ns % 1000:03d}"
    return f"{mark} {text} us {' ' * (7 - len(text))}|  "
