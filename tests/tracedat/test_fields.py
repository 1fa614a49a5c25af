"""Fields of events as columns, against the values that the records were made of."""

from __future__ import annotations

import gzip
import pickle
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.tracedat import TEXT, Cpu, Extra, Kernel, format_block, trace_dat
from kfgraph import load
from kfgraph.errors import InputError
from kfgraph.model.fields import EventField
from kfgraph.model.trace import Trace

F = TEXT + 0x100
SYMBOLS = {F: ("T", "f", ""), TEXT + 0x300: ("T", "_etext", "")}
EVENT, OTHER = 300, 301
COMMON = 8


@dataclass(frozen=True)
class Kind:
    """A C declaration, how to pack one number of it (struct's letter), and how many stand in an array."""

    ctype: str
    brackets: str
    letter: str
    n: int = 1

    def width(self, kernel: Kernel) -> int:
        return len(kernel.pack(self.letter, 0))


SCALARS = [
    Kind("char", "", "b"), Kind("unsigned char", "", "B"), Kind("short", "", "h"), Kind("unsigned short", "", "H"),
    Kind("int", "", "i"), Kind("unsigned int", "", "I"), Kind("s64", "", "q"), Kind("unsigned long long", "", "Q"),
    Kind("unsigned long", "", "L"), Kind("void *", "", "L"),
]  # fmt: skip
ARRAYS = [
    Kind("unsigned long", "[6]", "L", 6), Kind("int", "[3]", "i", 3), Kind("u8", "[5]", "b", 5),
    Kind("unsigned short", "[2]", "H", 2), Kind("struct odd", "", "B", 3),
]  # fmt: skip
STRINGS = [Kind("char", "[16]", "B", 16), Kind("char", "[COMM_LEN]", "B", 7)]
DYNAMIC = [
    Kind("__data_loc char[]", "", "B"), Kind("__rel_loc char[]", "", "B"), Kind("__data_loc u8[]", "", "b"),
    Kind("__data_loc unsigned long[]", "", "L"), Kind("__rel_loc int[]", "", "i"),
]  # fmt: skip


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Kernel, list[Kind], list[tuple[int, int, list[Any], int]]]:
    """(kernel, kinds, records): each record is (cpu, time step, values, words kept: 999 for all)."""
    kernel = Kernel(big_endian=draw(st.booleans()), long_size=draw(st.sampled_from([4, 8])))
    kinds = draw(st.lists(st.sampled_from(SCALARS + ARRAYS + STRINGS + DYNAMIC), min_size=1, max_size=6))
    records = []
    for _ in range(draw(st.integers(1, 30))):
        values = []
        for kind in kinds:
            bits = 8 * kind.width(kernel)
            low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.letter.islower() else (0, (1 << bits) - 1)
            number = st.one_of(st.sampled_from([low, high, 0]), st.integers(low, high))
            if kind in DYNAMIC:
                values.append(draw(st.lists(number, max_size=5)))
            else:
                values.append(draw(st.lists(number, min_size=kind.n, max_size=kind.n)))
        words = draw(st.sampled_from([999] * 6 + [0, 1, 3]))
        records.append((draw(st.integers(0, 2)), draw(st.integers(0, 900)), values, words))
    return kernel, kinds, records


def packed(kernel: Kernel, kinds: list[Kind], values: list[Any]) -> bytes:
    """The event's own bytes: what is dynamic stands behind the fields."""
    sizes = [4 if kind in DYNAMIC else kind.n * kind.width(kernel) for kind in kinds]
    fixed, tail, at = b"", b"", COMMON
    for kind, size, numbers in zip(kinds, sizes, values, strict=True):
        data = b"".join(kernel.pack(kind.letter, number) for number in numbers)
        if kind in DYNAMIC:
            begin = COMMON + sum(sizes) + len(tail)
            place = begin - (at + 4) if kind.ctype.startswith("__rel_loc") else begin
            fixed, tail = fixed + kernel.pack("I", len(data) << 16 | place), tail + data
        else:
            fixed += data
        at += size
    return fixed + tail


def is_held(kernel: Kernel, kinds: list[Kind], values: list[Any], which: int, size: int) -> bool:
    """Whether a record of ``size`` bytes holds the field."""
    sizes = [4 if kind in DYNAMIC else kind.n * kind.width(kernel) for kind in kinds]
    if COMMON + sum(sizes[: which + 1]) > size:
        return False
    if kinds[which] not in DYNAMIC:
        return True
    tails = [len(v) * k.width(kernel) for k, v in zip(kinds, values, strict=True) if k in DYNAMIC]
    before = sum(1 for kind in kinds[: which + 1] if kind in DYNAMIC)
    return COMMON + sum(sizes) + sum(tails[:before]) <= size


def expected(kind: Kind, numbers: list[int]) -> Any:
    if "char[" in kind.ctype or kind in STRINGS:
        return bytes(number & 255 for number in numbers).split(b"\0")[0].decode("utf-8", "backslashreplace")
    return numbers[0] if kind in SCALARS else numbers


def shown(values: Any) -> list[Any]:
    """As plain Python."""
    if isinstance(values, np.ndarray):
        return values.tolist()
    return [value if isinstance(value, str) else value.tolist() for value in values]


def file_of(kernel: Kernel, kinds: list[Kind], records: list[Any], **how: Any) -> tuple[bytes, list[tuple[Any, int]]]:
    """(trace.dat, (values, size of the record) of each in time order)."""
    cpus = [Cpu(kernel, number) for number in range(3)]
    cpus[0].entry(1_000, 42, F, 0)
    clock, said = 2_000, []
    for cpu, step, values, words in records:
        clock += step + 1
        data = packed(kernel, kinds, values)[: 4 * words]
        # Another event between, and records of the long form.
        cpus[cpu].event(clock, 42, EVENT, data, long_form=step % 3 == 0)
        if step % 5 == 0:
            clock += 1
            cpus[cpu].event(clock, 42, OTHER, b"")
        said.append((values, COMMON + len(data) + -len(data) % 4))
    fields = [
        (kind.ctype, f"f{i}{kind.brackets}", 4 if kind in DYNAMIC else kind.n * kind.width(kernel))
        for i, kind in enumerate(kinds)
    ]
    extra = Extra(events=(("any", "one", EVENT, fields), ("any", "two", OTHER, [])))
    return trace_dat(kernel, cpus, symbols=SYMBOLS, extra=extra, **how), said


@settings(max_examples=60, deadline=None)
@given(layout=layouts(), compression=st.sampled_from(["none", "zlib", "zstd"]))
def test_columns_hold_what_the_records_were_made_of(tmp_path_factory, layout, compression: str) -> None:
    kernel, kinds, records = layout
    path = tmp_path_factory.mktemp("fields") / "trace.dat"
    data, said = file_of(kernel, kinds, records, compression=compression)
    path.write_bytes(data)
    trace = load(path)
    marks = trace.marks
    assert marks.field_names("one") == tuple(f"f{i}" for i in range(len(kinds)))
    pickled = pickle.loads(pickle.dumps(marks))
    path.unlink()
    held = pickle.loads(pickle.dumps(marks))
    for source in (marks, held):
        columns = source.fields("one", *(f"f{i}" for i in range(len(kinds))), "common_pid", "none")
        assert columns[-1] is None
        pid = columns[-2]
        assert pid is not None and pid.values.tolist() == [42] * len(said) and pid.values.dtype == np.int32
        for i, kind in enumerate(kinds):
            column = columns[i]
            assert isinstance(column, EventField)
            assert column.rows.tolist() == marks.named("one").tolist() and len(column) == len(said)
            known = [is_held(kernel, kinds, values, i, size) for values, size in said]
            assert column.known.tolist() == known
            want = [expected(kind, values[i]) for values, _ in said]
            got = shown(column.values)
            assert [g for g, k in zip(got, known, strict=True) if k] == [
                w for w, k in zip(want, known, strict=True) if k
            ]
            for value in (g for g, k in zip(got, known, strict=True) if not k):
                assert value in (0, "", [], [0] * kind.n)
            if kind in SCALARS:
                sign = "i" if kind.letter.islower() else "u"
                assert column.is_number and column.values.dtype == np.dtype(f"{sign}{kind.width(kernel)}")
    with pytest.raises(InputError, match="record of an event cannot be read"):
        pickled.fields("one", "f0")


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("long_size", [4, 8])
def test_every_kind_of_array_with_a_place_has_elements_of_its_own_size(
    big_endian: bool, long_size: int, tmp_path: Path
) -> None:
    kernel = Kernel(big_endian=big_endian, long_size=long_size)
    values = [[1, 2, 3], [7]]
    kinds = [
        Kind(f"__data_loc {ctype}[]", "", letter)
        for ctype, letter in (
            ("unsigned long", "L"), ("unsigned long long", "Q"), ("u8", "B"), ("u16", "H"), ("int", "i"), ("u64", "Q")
        )
    ]  # fmt: skip
    for kind in kinds:
        cpu = Cpu(kernel, 0)
        cpu.entry(1_000, 42, F, 0)
        for i, numbers in enumerate(values):
            data = b"".join(kernel.pack(kind.letter, number) for number in numbers)
            cpu.event(2_000 + i, 42, EVENT, kernel.pack("I", len(data) << 16 | COMMON + 4) + data)
        extra = Extra(events=(("any", "one", EVENT, [(kind.ctype, "f", 4)]),))
        path = tmp_path / "trace.dat"
        path.write_bytes(trace_dat(kernel, [cpu], symbols=SYMBOLS, extra=extra))
        marks = load(path).marks
        column = marks.field("one", "f")
        assert column is not None and shown(column.values) == values, kind
        if kind.letter != "B":
            assert list(marks.text) == ["f={0x1,0x2,0x3}", "f={0x7}"], kind


def two_of_one_name(tmp_path: Path, *, second: str = "int") -> Trace:
    kernel = Kernel()
    cpu = Cpu(kernel, 0)
    cpu.entry(1_000, 42, F, 0)
    for i in range(10):
        cpu.event(2_000 + i, 42, EVENT + i % 2, kernel.pack("i" if i % 2 == 0 else "Q", i))
    events = (("a", "same", EVENT, [("int", "n", 4)]), ("b", "same", EVENT + 1, [(second, "n", 8), ("int", "m", 4)]))
    path = tmp_path / "trace.dat"
    path.write_bytes(trace_dat(kernel, [cpu], symbols=SYMBOLS, extra=Extra(events=events)))
    return load(path)


def test_two_events_of_one_name_are_read_as_one(tmp_path: Path) -> None:
    for second in ("s64", "unsigned long long"):
        marks = two_of_one_name(tmp_path, second=second).marks
        assert marks.named("same").tolist() == list(range(10))
        assert marks.field_names("same") == ("n", "m")
        column = marks.field("same", "n")
        assert column is not None and list(column.values) == list(range(10)) and column.rows.tolist() == list(range(10))
        only = marks.field("same", "m")
        assert only is not None and only.rows.tolist() == [1, 3, 5, 7, 9] and not only.known.any()


def with_block(tmp_path: Path, block: bytes, *datas: bytes) -> Trace:
    """A trace of one event with this format block."""
    kernel = Kernel()
    cpu = Cpu(kernel, 0)
    cpu.entry(1_000, 42, F, 0)
    for i, data in enumerate(datas):
        cpu.event(2_000 + i, 42, EVENT, data)
    section = kernel.pack("I", 1) + b"syscalls\0" + kernel.pack("IQ", 1, len(block)) + block
    path = tmp_path / "trace.dat"
    path.write_bytes(trace_dat(kernel, [cpu], symbols=SYMBOLS, extra=Extra(instead={18: section})))
    return load(path)


def test_arguments_of_system_calls_have_their_sign(tmp_path: Path) -> None:
    fields = [("unsigned dfd", "a", 8), ("unsigned pid", "b", 8), ("unsigned len", "c", 8), ("unsigned n", "d", 8)]
    block = format_block("sys_enter_x", EVENT, fields)
    for name, ctype in (("dfd a", "int a"), ("pid b", "pid_t b"), ("len c", "long c"), ("n d", "size_t d")):
        block = block.replace(f"unsigned {name}".encode(), ctype.encode())
    data = Kernel().pack("QQQQ", 0xFFFFFF9C, (1 << 64) - 1, (1 << 64) - 2, 1 << 63)
    marks = with_block(tmp_path, block, data).marks
    assert marks.text[0] == "a=-100 b=-1 c=-2 d=0x8000000000000000"
    values = [column.values.tolist() for column in marks.fields("sys_enter_x", *"abcd") if column is not None]
    assert values == [[-100], [-1], [-2], [1 << 63]]


def test_fields_that_no_record_holds_take_no_memory(tmp_path: Path) -> None:
    block = format_block("sys_enter_x", EVENT, [("int", "n", 4)])
    block += b"\tfield:u64 big[8000];\toffset:16;\tsize:64000;\tsigned:0;\n"
    block += b"\tfield:char s[60000];\toffset:16;\tsize:60000;\tsigned:0;\n"
    block += b"\tfield:int far;\toffset:4000000000;\tsize:4;\tsigned:1;\n"
    block = block.replace(b'\nprint fmt: ""\n', b"\n")
    marks = with_block(tmp_path, block, *[bytes(4)] * 20_000).marks
    big, text, far = marks.fields("sys_enter_x", "big", "s", "far")
    assert big is not None and text is not None and far is not None
    assert not (big.known.any() or text.known.any() or far.known.any())
    assert len(big.values) == len(text.values) == 20_000
    assert len(big.values[7]) == 0 and text.values[-1] == "" and far.values.tolist() == [0] * 20_000
    assert len(pickle.dumps(big)) < 1 << 20


def test_a_place_beyond_the_record_is_unknown(tmp_path: Path) -> None:
    block = format_block("sys_enter_x", EVENT, [("__data_loc char[]", "s", 4), ("__rel_loc char[]", "r", 4)])
    good = Kernel().pack("II", 4 << 16 | 16, 4 << 16 | 0) + b"abcd"
    bad = Kernel().pack("II", 4 << 16 | 17, 0xFFFF << 16 | 0xFFFF) + b"abcd"
    marks = with_block(tmp_path, block, good, bad).marks
    s, r = marks.fields("sys_enter_x", "s", "r")
    assert s is not None and list(s.values) == ["abcd", ""] and s.known.tolist() == [True, False]
    assert r is not None and list(r.values) == ["abcd", ""] and r.known.tolist() == [True, False]


def test_events_without_a_format_have_no_fields(tmp_path: Path) -> None:
    kernel = Kernel()
    cpu = Cpu(kernel, 0)
    cpu.entry(1_000, 42, F, 0)
    cpu.event(2_000, 42, 999, bytes(8))
    path = tmp_path / "trace.dat"
    path.write_bytes(trace_dat(kernel, [cpu], symbols=SYMBOLS))
    marks = load(path).marks
    assert marks.names == ("type-999",)
    assert marks.field("type-999", "n") is None and marks.field_names("type-999") == ()
    assert marks.field("sched_switch", "prev_pid") is None


def test_a_compressed_file_has_its_columns(tmp_path: Path) -> None:
    kinds = [SCALARS[4], STRINGS[0]]
    records = [(i % 3, i, [[i], [65 + i % 20] * 16], 999) for i in range(2_000)]
    data, _ = file_of(Kernel(), kinds, records, compression="zstd")
    packed_file = tmp_path / "trace.dat.gz"
    packed_file.write_bytes(gzip.compress(data))
    trace = load(packed_file)
    copied = pickle.loads(pickle.dumps(trace))
    for marks in (trace.marks, copied.marks):
        number, text = marks.fields("one", "f0", "f1")
        assert number is not None and number.values.tolist() == list(range(2_000))
        assert text is not None and list(text.values[:3]) == ["A" * 16, "B" * 16, "C" * 16]
        assert text.values[-1] == chr(65 + 1999 % 20) * 16
        with pytest.raises(IndexError):
            text.values[2_000]
    assert list(copied.marks.text) == list(trace.marks.text)


def test_a_column_is_made_far_faster_than_the_texts(tmp_path: Path) -> None:
    kernel, kinds = Kernel(), [SCALARS[4], SCALARS[6]]
    records = [(i % 3, 1, [[i], [-i]], 999) for i in range(60_000)]
    path = tmp_path / "trace.dat"
    path.write_bytes(file_of(kernel, kinds, records)[0])
    marks = load(path).marks
    begin = time.process_time()
    column = marks.field("one", "f1")
    of_column = time.process_time() - begin
    assert column is not None and column.values.tolist() == [-i for i in range(60_000)]
    begin = time.process_time()
    texts = marks.text[:6_000]
    of_texts = 10 * (time.process_time() - begin)
    assert len(texts) == 6_000
    # About a hundredth.
    assert of_column < of_texts / 8
