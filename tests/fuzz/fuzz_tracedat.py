"""Coverage-guided fuzzing of the trace.dat reader with atheris. Run by hand:

    pip install atheris
    python tests/fuzz/fuzz_tracedat.py -runs=5000000 NEW_CORPUS tests/fixtures/fuzz

The first byte of an input says what the rest is: a whole file (its contents are read), the pages of one
CPU (decoded, paired and checked), kallsyms, or an event format. Every 16th execution reads the whole file
that the input stands for. The page loop runs uncompiled, so that its branches count. The only
outcomes allowed are a Trace that passes ``check()``, an InputError, and between the rooms a Damage.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent / "src")]

import numpy as np  # noqa: E402 - before instrumentation: it is not what is tested

with atheris.instrument_imports(include=["kfgraph.parse.tracedat", "kfgraph.tracefile"]):
    from kfgraph.parse.tracedat import codenames, feed, raw, reader

from fuzz import inputs  # noqa: E402
from kfgraph.errors import InputError  # noqa: E402
from kfgraph.parse.pairing import Pairer  # noqa: E402
from kfgraph.parse.records import RecordBatch  # noqa: E402
from kfgraph.parse.tracedat.clock import read_time_base  # noqa: E402
from kfgraph.parse.tracedat.formats import parse_page_layout, read_formats  # noqa: E402
from kfgraph.parse.tracedat.kallsyms import Kallsyms  # noqa: E402
from kfgraph.tracefile.contents import read_contents  # noqa: E402
from kfgraph.tracefile.layout import Option  # noqa: E402
from kfgraph.tracefile.source import Damage, Fields  # noqa: E402
from tracedat.twin import plain_loops  # noqa: E402

WHOLE_EVERY = 16


class Now:
    """Future, at once: a thread for each execution is what would be measured."""

    def __init__(self, function: object) -> None:
        self._function = function

    def result(self) -> object:
        return self._function()  # type: ignore[operator]


def use_plain_loops() -> None:
    pages, streams = plain_loops()
    pages._signed = atheris.instrument_func(pages._signed)
    for cls in (streams.Stream, streams.Codes, pages.Decoder):
        for name, value in list(vars(cls).items()):
            if callable(value):
                setattr(cls, name, atheris.instrument_func(value))
    reader.pages, reader.streams = pages, streams  # type: ignore[assignment]


def container(path: Path) -> None:
    """The contents of the file, and all that it has but the pages."""
    try:
        it = read_contents(path)
    except InputError:
        return
    try:
        for option in (Option.PRINTK, Option.KALLSYMS, Option.CMDLINES, Option.BTF, Option.MODULES):
            it.section(option)
        it.options.text(Option.UNAME)
        read_formats(it.section(Option.FTRACE_EVENTS), it.section(Option.EVENT_FORMATS))
        parse_page_layout(it.section(Option.HEADER_INFO), it.header.long_size)
        read_time_base(it, it.options.clock)
        for buffer in it.buffers:
            for data in buffer.cpus:
                for chunk in data.chunks[:4]:
                    assert len(it.header.codec.chunk(data.source, chunk)) <= chunk.size
    except Damage:
        pass
    finally:
        it.close()


class Pages:
    """One CPU's pages, decoded with the layout of each of the kernels."""

    def __init__(self, path: Path) -> None:
        self.readings = []
        for number in range(len(inputs.KERNELS)):
            path.write_bytes(inputs.file_of(bytes([number << 2 | 1])))
            self.readings.append(reader.Reading(feed.Prefetcher(read_contents(path))))
        self.batch = RecordBatch.empty(64, retval=True, caller=True, arg=True)
        self.raw = raw.RawColumns(64)

    def decode(self, number: int, data: bytes) -> None:
        reading = self.readings[number]
        big = reading.contents.big_endian
        stream = reader.streams.Stream(3, big_endian=big, page_size=inputs.PAGE, header=reading.page.data_offset)
        decoder = reader.pages.Decoder(
            [stream],
            routes=reading.routes,
            layout=reading._layout(),
            big_endian=big,
            long_size=reading.page.commit_size,
        )
        decoder.target(self.batch, self.raw)
        half = len(data) // 2 // inputs.PAGE * inputs.PAGE
        pieces = [data[:half], data[half:]]
        pairer = Pairer(retval=True, caller=True, args=True)
        n = n_rows = 0
        base = 0
        hungry = 0
        while hungry != -2:
            n, hungry = decoder.fill(n)
            assert 0 <= n <= 64
            if hungry == 0:
                if pieces:
                    stream.feed(reader.words_of(pieces[0], big_endian=big), base)
                    base += len(pieces.pop(0))
                else:
                    stream.finish()
            else:
                pairer.feed(self.batch, n)
                n_rows += n
                n = 0
        # A record takes 12 bytes at least, a loss a page.
        assert n_rows <= len(data) // 12 + len(data) // inputs.PAGE + 2
        calls = pairer.finish().calls
        calls.check()


def main() -> None:
    codenames.Future = Now  # type: ignore[misc, assignment]
    reader.BATCH_ROWS = raw.BATCH_ROWS = 64
    use_plain_loops()
    folder = tempfile.mkdtemp(prefix="fuzz-tracedat-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    path = Path(folder, "trace.dat")
    pages = Pages(path)
    probes = np.array([0, 1, 0xFFFFFFFF81000104, (1 << 64) - 1], np.uint64)
    count = 0

    def one(data: bytes) -> None:
        nonlocal count
        count += 1
        kind, rest = (data[0] if data else 0), data[1:]
        if count % WHOLE_EVERY == 0:
            path.write_bytes(inputs.file_of(data))
            inputs.outcome(path)
        elif kind & 3 == 0:
            path.write_bytes(rest)
            container(path)
        elif kind & 3 == 1:
            pages.decode(kind >> 2 & 3, rest)
        elif kind & 3 == 2:
            Kallsyms(rest).resolve(probes)
        else:
            read_formats(Fields(rest, base=0, big_endian=bool(kind & 4)), None)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
