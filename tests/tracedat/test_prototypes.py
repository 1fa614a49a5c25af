"""What functions return, by the BTF in the file: read when asked for, and what it says about errors."""

from __future__ import annotations

import gzip
import pickle
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from builder import btf
from builder.btf import FUNC, FUNC_PROTO, SIGNED, BtfWriter
from builder.tracedat import MODULE, TEXT, Cpu, Extra, Kernel, trace_dat
from kfgraph import load
from kfgraph.analyze.retval import errors_of
from kfgraph.kernel.btf import Btf
from kfgraph.model.trace import Trace
from kfgraph.parse.tracedat import arguments, read

INT_19, LONG_19 = 0xFFFFFFED, (1 << 64) - 19
RETURNS = {
    # name: (C type, error of -19 in the lower half alone, in the whole register)
    "nothing": ("void", 0, 0),
    "truth": ("bool", 0, 0),
    "number": ("int", -19, -19),
    "counted": ("unsigned int", 0, 0),
    "small": ("short int", 0, 0),
    "size": ("ssize_t", 0, -19),
    "address": ("long unsigned int", 0, -19),
    "page": ("struct page *", 0, -19),
    "text": ("const char *", 0, -19),
    "place": ("char * const", 0, -19),
    "handler": ("function *", 0, -19),
    "anything": ("void *", 0, -19),
    "state": ("enum state", -19, -19),
    "pte": ("pte_t", 0, 0),
    "unknown": ("", -19, -19),
    "twice": ("", -19, -19),
    "other": ("", -19, -19),
}


def section(*, big_endian: bool = False, long_size: int = 8) -> bytes:
    types = BtfWriter(big_endian=big_endian)
    number = types.int("int", 4, btf.SIGNED)
    long = types.int("long int", long_size, btf.SIGNED)
    char = types.int("char", 1, btf.SIGNED)
    page = types.add(btf.FWD, "page")
    pte = types.add(btf.STRUCT, "", long_size, (types.name("pte"), long, 0), n=1)
    prototype = types.add(btf.FUNC_PROTO, "", number)
    returns = {
        "nothing": 0,
        "truth": types.add(btf.TYPEDEF, "bool", types.int("_Bool", 1, btf.BOOL)),
        "number": number,
        "counted": types.int("unsigned int", 4),
        "small": types.int("short int", 2, btf.SIGNED),
        "size": types.add(btf.TYPEDEF, "ssize_t", types.add(btf.TYPEDEF, "__kernel_ssize_t", long)),
        "address": types.int("long unsigned int", long_size),
        "page": types.add(btf.PTR, "", page),
        "text": types.add(btf.PTR, "", types.add(btf.CONST, "", char)),
        "place": types.add(btf.CONST, "", types.add(btf.PTR, "", char)),
        "handler": types.add(btf.PTR, "", prototype),
        "anything": types.add(btf.PTR),
        "state": types.add(btf.ENUM, "state", 4),
        "pte": types.add(btf.TYPEDEF, "pte_t", pte),
    }
    for name, kind in returns.items():
        types.function(name, kind, ("first", number), ("second", returns["page"]))
    types.function("twice", number)
    types.function("twice", long)
    types.function("other", number)
    return types.section()


def recorded(path: Path, kernel: Kernel, value: int, *, extra: dict[int, bytes], name: str = "trace.dat") -> Path:
    """Each function of RETURNS once, with this value; "other" is a module's."""
    cpu = Cpu(kernel, 0)
    symbols = {}
    mask = (1 << 8 * kernel.long_size) - 1
    for i, function in enumerate(RETURNS):
        address = (MODULE if function == "other" else TEXT) + 0x100 * (i + 1) & mask
        symbols[address] = ("t", function, "mod" if function == "other" else "")
        cpu.entry(1_000 * (i + 1), 42, address, 0, args=(7, 0xFFFF888000001234 & mask) if kernel.args else ())
        cpu.exit(1_000 * (i + 1) + 500, 42, address, 0, 0, 500, retval=value)
    file = path / name
    content = trace_dat(kernel, [cpu], symbols=symbols, extra=Extra(sections=extra), compression="zstd")
    file.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return file


def by_name(trace: Trace, values: list[object]) -> dict[str, object]:
    return {trace.symbols.names[code]: value for code, value in zip(trace.calls.func.tolist(), values, strict=True)}


@pytest.mark.parametrize("kernel", [
    Kernel(retval=True), Kernel(retval=True, args=True), Kernel(retval=True, big_endian=True)
])
@pytest.mark.parametrize(("value", "which"), [(INT_19, 1), (LONG_19, 2)])
def test_types_say_what_is_an_error(kernel: Kernel, value: int, which: int, tmp_path: Path) -> None:
    trace = read(recorded(tmp_path, kernel, value, extra={23: section(big_endian=kernel.big_endian)}))
    trace.check()
    returns = by_name(trace, [trace.symbols.returns(code) for code in trace.calls.func.tolist()])
    assert returns == {name: row[0] for name, row in RETURNS.items()}
    errors = by_name(trace, errors_of(trace.calls, trace.symbols).codes.tolist())
    assert errors == {name: row[which] for name, row in RETURNS.items()}
    # Without types it is the kernel's rule for all.
    untyped = replace(trace.symbols, prototypes=None)
    assert errors_of(trace.calls, untyped).codes.tolist() == [-19] * len(RETURNS)
    assert not errors_of(trace.calls, untyped).sure.any()
    if kernel.args:
        assert trace.calls.args is not None
        assert trace.calls.args.text(2) == "first=7, second=0xffff888000001234"


def test_on_32_bits_a_register_is_a_half(tmp_path: Path) -> None:
    kernel = Kernel(retval=True, long_size=4)
    trace = read(recorded(tmp_path, kernel, INT_19, extra={23: section(long_size=4)}))
    errors = by_name(trace, errors_of(trace.calls, trace.symbols).codes.tolist())
    assert errors == {name: row[2] for name, row in RETURNS.items()}
    assert trace.symbols.returned(3) is not None
    assert {trace.symbols.returned(code).n_bits for code in (4, 6, 7, 8)} == {32}  # type: ignore[union-attr]


def test_no_other_value_is_an_error(tmp_path: Path) -> None:
    for value in (0, 1, 19, 0x7FFFFFFF, 0xFFFFE000, 0xFFFF888000001000, (1 << 64) - 4096):
        trace = read(recorded(tmp_path, Kernel(retval=True), value, extra={23: section()}))
        assert not errors_of(trace.calls, trace.symbols).codes.any()


def test_nothing_is_read_until_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recorded(tmp_path, Kernel(retval=True), INT_19, extra={23: section()})
    made = []

    class Counted(Btf):
        def __init__(self, data: bytes) -> None:
            made.append(len(data))
            super().__init__(data)

    monkeypatch.setattr(arguments, "Btf", Counted)
    trace = read(path)
    prototypes = trace.symbols.prototypes
    assert isinstance(prototypes, arguments.Prototypes)
    assert (made, prototypes._data) == ([], None)
    assert [trace.symbols.returns(code) for code in (1, 3, 3)] == ["void", "int", "int"]
    assert made == [len(section())]


def test_copies_know_the_types(tmp_path: Path) -> None:
    for name in ("trace.dat", "trace.dat.gz"):
        path = recorded(tmp_path, Kernel(retval=True), INT_19, extra={23: section()}, name=name)
        trace = load(path)
        state = pickle.dumps(trace)
        if name.endswith(".gz"):
            path.unlink()
        assert pickle.loads(state).symbols.returns(3) == trace.symbols.returns(3) == "int"


@pytest.mark.parametrize("data", [b"", b"junk", section()[:30], section()[:-5], b"\0" * 100])
def test_damaged_btf_tells_nothing(data: bytes, tmp_path: Path) -> None:
    for kernel in (Kernel(retval=True), Kernel(retval=True, args=True)):
        trace = read(recorded(tmp_path, kernel, INT_19, extra={23: data}))
        assert {trace.symbols.returns(code) for code in range(len(trace.symbols))} == {""}
        assert errors_of(trace.calls, trace.symbols).codes.tolist() == [-19] * len(RETURNS)


def test_types_that_go_round_end() -> None:
    types = BtfWriter()
    types.add(btf.PTR, "", 1)
    types.add(btf.TYPEDEF, "", 2)
    types.add(btf.CONST, "", 3)
    types.function("round", 1)
    types.function("itself", 2)
    types.function("constant", 3)
    found = Btf(types.section())
    for name in ("round", "itself", "constant"):
        prototype = found.prototype(name)
        assert prototype is not None
        assert len(prototype.c_type) < 1_000


def test_a_modules_types_go_on_where_their_base_ends() -> None:
    base, own = BtfWriter(), BtfWriter()
    number = base.int("int", 4, SIGNED)
    own._n = base._n  # types and names of a split part are counted on
    own._strings = bytearray(b"\0")
    first = len(base._strings)
    proto = own.add(FUNC_PROTO, "", number)
    nothing = own.add(FUNC_PROTO, "", 0)
    for name, of in (("foo_get", proto), ("foo_note", nothing)):
        at = len(own._strings) + first
        own._strings += name.encode() + b"\0"
        own._types += struct.pack("<III", at, FUNC << 24, of)
    types = Btf.split(base.section(), own.section())
    assert (types.prototype("foo_get").c_type, types.prototype("foo_note").c_type) == ("int", "void")
    assert not types.prototype("foo_note").can_fail(8)
    with pytest.raises(ValueError, match="two byte orders"):
        Btf.split(BtfWriter(big_endian=True).section(), own.section())
