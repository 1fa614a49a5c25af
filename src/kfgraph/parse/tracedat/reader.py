"""trace.dat -> Trace."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kfgraph.errors import InputError, notice
from kfgraph.model import steps
from kfgraph.model.args import RawArgs
from kfgraph.model.calls import CallTable, Flag
from kfgraph.model.returned import PROBE_GROUP
from kfgraph.model.symbols import SymbolTable
from kfgraph.model.tasks import TaskTable, task_of
from kfgraph.model.trace import Trace, TraceMeta
from kfgraph.parse.pairing import Paired, Pairer
from kfgraph.parse.records import ENTRY, EXIT, RecordBatch
from kfgraph.parse.texts import decode
from kfgraph.parse.tracedat import pages, streams
from kfgraph.parse.tracedat.clock import read_time_base
from kfgraph.parse.tracedat.codenames import Names
from kfgraph.parse.tracedat.feed import Prefetcher
from kfgraph.parse.tracedat.formats import EventFormat, Field, Formats, parse_page_layout, read_formats
from kfgraph.parse.tracedat.markfields import MarkFields
from kfgraph.parse.tracedat.markrecords import FileRecords
from kfgraph.parse.tracedat.marktext import MarkTexts
from kfgraph.tracefile.damage import Notes
from kfgraph.tracefile.layout import Option
from kfgraph.tracefile.source import Damage

BATCH_ROWS = 1 << 16
_BYTES_A_CALL = 64
"""An entry and an exit take 68 bytes without arguments (64-bit)."""
_RATIO = 8
"""Trace data compresses to about a quarter; chunks that promise far more are promises."""
_RETADDR = 5
_GRAPH_EVENTS = {"funcgraph_entry": ENTRY, "funcgraph_exit": EXIT, "fgraph_retaddr_entry": _RETADDR}
_LAYOUT_FIELDS = ("func", "depth", "calltime", "rettime", "retval", "overrun", "retaddr", "args")
_COMMON = {"common_type": (0, 2), "common_flags": (2, 1), "common_preempt_count": (3, 1), "common_pid": (4, 4)}
_TYPES = 1 << 16


_COMM = re.compile(rb"^([0-9]{1,10}) ([^\n]{1,255})", re.MULTILINE)
_OVERRUN = re.compile(rb"^[ \t]*overrun[ \t]*:[ \t]*([0-9]{1,18})[ \t]*$", re.MULTILINE)


class Reading:
    """One buffer of a trace.dat, decoded.

    Raises:
        InputError, Damage: it cannot be.
    """

    def __init__(self, prefetcher: Prefetcher) -> None:
        self.contents = contents = prefetcher.contents
        self.buffer = prefetcher.buffer
        self.pieces = [prefetcher.pieces(which) for which in range(len(self.buffer.cpus))]
        self.times = read_time_base(contents, self.buffer.clock)
        self.notes = Notes(contents.notices)
        if self.times.damage is not None:
            self.notes.damage("damaged-clock", self.times.damage)
        self.details: dict[str, Any] = {}
        self.formats = read_formats(self._section(Option.FTRACE_EVENTS), None)
        self._note_formats(self.formats)
        self.page = parse_page_layout(self._section(Option.HEADER_INFO), contents.header.long_size)
        self.graph = {name: self.formats.named(name) for name in _GRAPH_EVENTS}
        self._check_graph()
        self.has_retval = self._has("funcgraph_exit", "retval")
        self.has_caller = self.graph["fgraph_retaddr_entry"] is not None
        self.has_args = any(self._has(name, "args") for name in ("funcgraph_entry", "fgraph_retaddr_entry"))
        # A type without a format: its events are marks that say so.
        self.routes = np.arange(_TYPES, dtype=np.int32)
        for name, event in self.graph.items():
            if event is not None:
                self.routes[event.id] = -1 - _GRAPH_EVENTS[name]
        self.streams = [self._stream(data.cpu) for data in self.buffer.cpus]
        self.decoder = pages.Decoder(
            self.streams,
            routes=self.routes,
            layout=self._layout(),
            big_endian=contents.big_endian,
            long_size=self.page.commit_size,
            calltime_offset=self.times.offset if self.times.is_local else 0,
        )

    def _section(self, option: Option) -> Any:
        """A section, or None with a notice where it is damaged."""
        try:
            return self.contents.section(option)
        except Damage as damage:
            self.notes.damage("damaged-section", damage, part=option.name.lower())
            return None

    def _note_formats(self, formats: Formats) -> None:
        if formats.first is not None:
            self.notes.damage("damaged-section", formats.first, part="event formats", n=formats.n_damaged)

    def _check_graph(self) -> None:
        """The formats of the funcgraph events: without the common fields nothing can be read, without others less."""
        for name, event in self.graph.items():
            if event is None:
                continue
            for common, place in _COMMON.items():
                field = event.common.get(common)
                if field is not None and (field.offset, field.size) != place:
                    raise InputError(
                        f"{self.contents.name}: {common} is {field.size} bytes at {field.offset} of a record, "
                        f"which no known kernel has (at byte {event.offset})",
                        "--reader report reads the file through trace-cmd",
                    )
            for needed in ("func", "depth", *(("calltime", "rettime") if _GRAPH_EVENTS[name] == EXIT else ())):
                if not _is_number(event.fields.get(needed)):
                    self.notes.add("damaged-section", f"{name} has no {needed}", offset=event.offset)

    def _has(self, event: str, field: str) -> bool:
        found = self.graph[event]
        return found is not None and field in found.fields

    def _layout(self) -> npt.NDArray[np.int32]:
        layout = np.full((_RETADDR + 1, 2 * len(_LAYOUT_FIELDS)), -1, np.int32)
        for name, event in self.graph.items():
            for i, field_name in enumerate(_LAYOUT_FIELDS):
                field = event.fields.get(field_name) if event is not None else None
                if field is None:
                    continue
                # What a number is read from is a number: only the arguments are an array, as long as the record.
                is_args = field_name == "args"
                if is_args or _is_number(field):
                    place = min(field.offset, _TYPES), 0 if is_args else field.size
                    layout[_GRAPH_EVENTS[name], 2 * i : 2 * i + 2] = place
        return layout

    def _stream(self, cpu: int) -> streams.Stream:
        return streams.Stream(
            cpu,
            big_endian=self.contents.big_endian,
            page_size=self.buffer.page_size,
            header=self.page.data_offset,
            offset=self.times.offset,
            mult=self.times.mult,
            shift=self.times.shift,
            convert=self.times.convert(cpu),
        )

    def batches(self, raw: pages.RawColumns | None = None) -> Iterator[tuple[RecordBatch, int]]:
        """(batch, rows) after (batch, rows), all CPUs in time order; the batch is used again."""
        batch = RecordBatch.empty(
            BATCH_ROWS, retval=self.has_retval, caller=self.has_caller, arg=self.has_args
        )
        self.decoder.target(batch, raw)
        n = 0
        while True:
            n, hungry = self.decoder.fill(n)
            if hungry >= 0:
                self._feed(hungry)
                continue
            yield batch, n
            n = 0
            if hungry == -2:
                break
        for stream, data in zip(self.streams, self.buffer.cpus, strict=True):
            n_bad, at = stream.damage()
            if n_bad:
                self.notes.add("damaged-pages", f"byte {at} of CPU {data.cpu}'s data", n=n_bad)
            n_back, at = stream.went_back()
            if n_back:
                self.notes.add("clock-back", f"byte {at} of CPU {data.cpu}'s data", n=n_back)

    def _feed(self, which: int) -> None:
        stream = self.streams[which]
        piece = next(self.pieces[which], None)
        steps.advance(0 if piece is None else piece.size)
        if piece is None:
            stream.finish()
        elif isinstance(piece.part, Damage):
            stream.lose()
            self.notes.damage("damaged-chunk", piece.part)
        else:
            if len(piece.part) < piece.size:
                self.notes.add("cut-file", f"CPU {self.buffer.cpus[which].cpu}'s data breaks off")
            stream.feed(words_of(piece.part, big_endian=self.contents.big_endian), piece.at)

    def trace(self) -> Trace:
        """Decode and pair everything."""
        n_bytes = self.buffer.n_bytes
        pairer = Pairer(
            retval=self.has_retval,
            caller=self.has_caller,
            args=self.has_args,
            same_clock=self.times.is_local,
            n_expected=min(n_bytes, _RATIO * self.contents.source.size) // _BYTES_A_CALL,
        )
        steps.begin(f"reading {self.contents.name}", total=n_bytes)
        for batch, n in self.batches():
            pairer.feed(batch, n)
        steps.begin("putting the calls in order")
        # Its thread had been in the way of those that decompress.
        names = Names(self.contents, self.buffer.name, n_bytes=n_bytes)
        paired = pairer.finish(clock_is_ns=self.times.unit == "ns")
        del pairer
        symbols, callers, offsets = names.table(self.decoder.functions(), self.decoder.callers())
        symbols = self._with_prototypes(symbols)
        calls = self._calls(paired, symbols, callers, offsets)
        marks = self._marks(paired)
        tasks = self._tasks(paired.lanes)
        n_cpus, n_overrun = self._statistics()
        self.notes.merge(names.notes.all())
        others = [b.name for b in self.contents.buffers if b is not self.buffer and b.cpus]
        if others:
            shown = ", ".join(name[:80] or "(main)" for name in others[:10]) + (", ..." if len(others) > 10 else "")
            self.notes.say(notice("other-buffers", len(others), buffers=shown))
        trace = Trace(
            calls=calls,
            symbols=symbols,
            tasks=tasks,
            marks=marks,
            losses=paired.losses,
            meta=self._meta(paired, n_cpus, n_overrun),
            notices=(*self.notes.all(), *paired.notices),
        )
        if not len(calls) and len(marks):
            from kfgraph.parse import function_tracer

            if function_tracer.TRACER in marks.names:
                trace = function_tracer.of_events(trace, names.table)
        if not len(marks) and symbols.prototypes is None:
            self.contents.close()
        return trace

    def _with_prototypes(self, symbols: SymbolTable) -> SymbolTable:
        if Option.BTF not in self.contents.places and not self.has_args:
            return symbols
        # Imported where there are any: BTF is a format of its own.
        from kfgraph.parse.tracedat.arguments import Prototypes

        # With arguments it is needed, and if it is damaged, that is told now.
        section = self._section(Option.BTF) if self.has_args else None
        data = None if not self.has_args else b"" if section is None else section.data
        prototypes = Prototypes(self.contents, symbols, long_size=self.page.commit_size, data=data)
        return replace(symbols, prototypes=prototypes)

    def _calls(
        self, paired: Paired, symbols: SymbolTable, callers: npt.NDArray[np.int32], offsets: npt.NDArray[np.int32]
    ) -> CallTable:
        calls = paired.calls
        unnamed = ~symbols.resolved
        unnamed[0] = False
        if unnamed.any():
            calls.flags[unnamed[calls.func]] |= np.uint32(Flag.NAME_UNRESOLVED)
        if calls.caller is not None:
            # Since 6.13 there is a format for return addresses, whether any were recorded or not.
            caller = callers[calls.caller] if callers.any() else None
            offset = offsets[calls.caller] if (offsets >= 0).any() else None
            calls = calls.with_columns(caller=caller, caller_offset=offset)
        if paired.arg is not None:
            from kfgraph.kernel.argument_text import Describer

            values = self.decoder.argument_values()
            known = paired.arg >= 0
            count = np.zeros(len(calls), np.uint8)
            count[known] = values[paired.arg[known]]
            describe = Describer(symbols.prototypes)  # type: ignore[arg-type]
            calls = calls.with_columns(args=RawArgs(calls.func, paired.arg + np.int32(1), count, values, describe))
        return calls

    def _marks(self, paired: Paired) -> Any:
        marks = paired.marks
        if not len(marks):
            return marks
        # Only the formats of what occurs are parsed: the file describes a thousand and more.
        types, which = np.unique(marks.name, return_inverse=True)
        wanted = {int(number) for number in types}
        found = read_formats(None, self._section(Option.EVENT_FORMATS), wanted=wanted)
        self._note_formats(found)
        if PROBE_GROUP in found.systems:
            self.details["probes"] = PROBE_GROUP
        events: dict[int, EventFormat] = {**self.formats.events, **found.events}
        unknown = [number for number in sorted(wanted) if number not in events]
        if unknown:
            n = int(np.isin(marks.name, unknown).sum())
            self.notes.add("unknown-event", f"type {unknown[0]}", n=n)
        records = FileRecords(self.contents, self.buffer, self.decoder.mark_places())
        layouts = {number: events[number] for number in wanted if number in events}
        form: dict[str, Any] = {"big_endian": self.contents.big_endian, "long_size": self.page.commit_size}
        texts = MarkTexts(records, layouts, **form)
        source = MarkFields(records, [layouts.get(number) for number in types.tolist()], **form)
        names = tuple(events[number].name if number in events else f"type-{number}" for number in types.tolist())
        return replace(marks, name=which.astype(np.int32), names=names, text=texts, source=source)

    def _tasks(self, lanes: list[tuple[int, int]]) -> TaskTable:
        section = self._section(Option.CMDLINES)
        comms: dict[int, str] = {}
        if section is not None:
            try:
                text = section.take(section.number(8, "the command lines"), "the command lines")
            except Damage as damage:
                text = section.data[section.pos :]
                self.notes.damage("damaged-section", damage, part="cmdlines")
            wanted = {pid for pid, _ in lanes}
            for line in _COMM.finditer(text):
                if (pid := int(line[1])) in wanted and line[2] != b"<...>":
                    comms[pid] = decode(line[2])
        return TaskTable(tuple(task_of(pid, comms.get(pid, ""), cpu) for pid, cpu in lanes))

    def _statistics(self) -> tuple[int, int]:
        """(number of CPUs, records overwritten before they were read), -1 where the file does not say."""
        options = self.contents.options.all(Option.CPUSTAT)
        overruns = [int(line[1]) for fields in options for line in _OVERRUN.finditer(fields.data)]
        count = self.contents.options.first(Option.CPUCOUNT)
        n_cpus = count.number(4, "the CPU count") if count is not None and count.left() >= 4 else len(self.buffer.cpus)
        return n_cpus, sum(overruns) if overruns else -1

    def _meta(self, paired: Paired, n_cpus: int, n_overrun: int) -> TraceMeta:
        contents = self.contents
        # sysname nodename release machine
        uname = contents.options.text(Option.UNAME).split()
        version = contents.options.text(Option.VERSION).split()
        return TraceMeta(
            path=contents.name,
            reader="dat",
            kernel=uname[2] if len(uname) > 2 else "",
            host=uname[1] if len(uname) > 1 else "",
            arch=uname[3] if len(uname) > 3 else "",
            recorder=f"trace-cmd {version[0]}" if version else "",
            clock=self.times.clock,
            clock_unit=self.times.unit,
            n_cpus=n_cpus,
            n_records=paired.n_records,
            first_ns=paired.first_time,
            last_ns=paired.last_time,
            n_overrun=n_overrun,
            buffers=tuple(b.name for b in contents.buffers),
            details={
                "file_version": contents.header.version,
                "compression": contents.header.codec.name,
                "byte_order": "big" if contents.big_endian else "little",
                "long_size": self.page.commit_size,
                "page_size": self.buffer.page_size,
                "loops": "compiled" if pages.COMPILED else "plain Python",
                **self.details,
            },
        )


def _is_number(field: Field | None) -> bool:
    return field is not None and field.size in (1, 2, 4, 8) and not field.is_array


def words_of(part: Any, *, big_endian: bool) -> memoryview:
    """Bytes as 32-bit words of this machine's order (a rest of less than a word is left out)."""
    data = memoryview(part)
    words = data[: len(data) & ~3].cast("B").cast("I")
    if big_endian == (sys.byteorder == "big"):
        return words
    swapped: Any = np.asarray(words).byteswap()
    return memoryview(swapped)
