"""Return probes of the companion: names and values on the calls that they are about, and on no others."""

from __future__ import annotations

import errno
import json
from dataclasses import replace

import numpy as np
import pytest

from builder.tables import call, trace_of
from kfgraph.kernel.errnos import errno_name
from kfgraph.model.calls import Flag
from kfgraph.model.companion import Companion, ModuleFunction, ModuleImage, ReturnProbe
from kfgraph.model.marks import Marks
from kfgraph.model.returned import Returned
from kfgraph.model.trace import Trace
from kfgraph.parse.textfields import TextFields
from kfgraph.passes import Given, return_probes, return_types

INIT, READ, HELPER, OTHER = 0xC02E0000, 0xC033F01F, 0xC033F04D, 0xC0990000
MODULE = ModuleImage(
    "foo", "foo.ko", "", "6.1",
    (
        ModuleFunction("foo_read", ".text", 0x1F, 46),
        ModuleFunction("foo_helper", ".text", 0x4D, 22),
        ModuleFunction("foo_init", ".init.text", 0, 86),
        ModuleFunction("init_module", ".init.text", 0, 86),
    ),
)  # fmt: skip
PROBES = (ReturnProbe("kfgraph", "foo_init", "foo_init", "foo"), ReturnProbe("kfgraph", "ev", "foo_read", "foo"))


def vanished(*hits: tuple[str, int, int, str]) -> Trace:
    """load_module → INIT → READ, HELPER, OTHER by address, with (event, parent row, address, value) hits."""
    tree = call("load_module", 5, call(f"{INIT:#x}", 5, call(f"{READ:#x}"), call(f"{HELPER:#x}"), call(f"{OTHER:#x}")))
    trace = trace_of([tree])
    symbols = replace(trace.symbols, addresses=np.array([0, 0x8000, INIT, READ, HELPER, OTHER], np.uint64))
    flags = trace.calls.flags | np.where(symbols.resolved[trace.calls.func], 0, Flag.NAME_UNRESOLVED).astype(np.uint32)
    names = tuple(dict.fromkeys(event for event, *_ in hits))
    n = len(hits)
    name = np.array([names.index(hit[0]) for hit in hits], np.int32)
    text = tuple(f"__probe_func={at:#x} __probe_ret_ip=0xffffffff810768d0 ret={value}" for _, _, at, value in hits)
    marks = Marks(
        time_ns=np.arange(n),
        lane=np.zeros(n, np.int32),
        cpu=np.zeros(n, np.int16),
        name=name,
        row=np.array([hit[1] + 1 for hit in hits], np.int32),
        parent=np.array([hit[1] for hit in hits], np.int32),
        names=names,
        text=text,
        source=TextFields(names, name, text),
    )
    return replace(trace, symbols=symbols, calls=trace.calls.with_columns(flags=flags), marks=marks)


def applied(trace: Trace, companion: Companion) -> Trace:
    # A pass writes into no column of what it gets.
    return return_probes.apply(replace(trace.read_only(), companion=companion), Given())


def test_hits_name_their_functions_and_what_lies_beside_them_and_give_values() -> None:
    hits = (("ev", 2, READ, "4294967277"), ("foo_init", 1, INIT, "0xffffffffffffffed"))
    trace = applied(vanished(*hits), Companion(probes=PROBES, modules=(MODULE,)))
    trace.check()
    assert trace.symbols.labels[1:] == (
        "load_module", "foo_init [foo]", "foo_read [foo]", "foo_helper [foo]", f"{OTHER:#x}",
    )  # fmt: skip
    assert trace.calls.retval is not None
    assert trace.calls.retval.tolist() == [0, -19, 4294967277, 0, 0]
    assert trace.calls.has(Flag.HAS_RETVAL).tolist() == [False, True, True, False, False]
    assert trace.calls.has(Flag.NAME_UNRESOLVED).tolist() == [False, False, False, False, True]


@pytest.mark.parametrize(
    "hit",
    [
        ("ev", 3, READ, "0"),  # stands in a call of another address
        ("unknown", 2, READ, "0"),  # an event that is no probe of ours
        ("ev", -1, READ, "0"),  # outside any call
        ("ev", 2, READ, "a string"),
    ],
)
def test_a_hit_that_does_not_fit_tells_nothing(hit) -> None:
    before = replace(vanished(hit), companion=Companion(probes=PROBES, modules=(MODULE,)))
    assert return_probes.apply(before, Given()) is before


def test_a_name_that_the_trace_knows_is_kept() -> None:
    trace = vanished(("ev", 0, 0x8000, "-22"))
    after = applied(trace, Companion(probes=PROBES))
    assert after.symbols.labels == trace.symbols.labels
    assert after.calls.retval is not None and after.calls.retval[0] == -22


def test_error_numbers_have_the_names_of_this_system() -> None:
    for number, name in errno.errorcode.items():
        if name not in ("EWOULDBLOCK", "EDEADLOCK"):
            assert errno_name(number) in (name, {"ENOTSUP": "EOPNOTSUPP"}.get(name))
    assert [errno_name(n) for n in (0, 41, 58, 134, 517, 4095)] == ["", "", "", "", "EPROBE_DEFER", ""]
    assert [errno_name(n, arch="mips64") for n in (19, 45, 517)] == ["ENODEV", "", "EPROBE_DEFER"]


def test_what_functions_return_is_told_by_who_recorded() -> None:
    resource, nothing = Returned("struct resource *", 64, True, "pointer"), Returned("void", 0, False, "void")
    functions = (replace(MODULE.functions[0], returns=nothing), *MODULE.functions[1:])
    probe = ReturnProbe("kfgraph", "load_module", "load_module", "", returns=resource)
    companion = Companion(probes=(*PROBES, probe), modules=(replace(MODULE, functions=functions),))
    written = json.dumps(companion.to_dict())
    assert written.count("returns") == 2 and Companion.from_dict(json.loads(written)) == companion
    trace = return_types.apply(applied(vanished(("ev", 2, READ, "0")), companion), Given())
    types = {name: trace.symbols.returned(code) for code, name in enumerate(trace.symbols.names)}
    assert (types["load_module"], types["foo_read"], types["foo_helper"]) == (resource, nothing, None)
    damaged = companion.to_dict()
    damaged["probes"][2]["returns"]["n_bits"] = "many"
    with pytest.raises(ValueError, match="not a companion file"):
        Companion.from_dict(damaged)


def test_what_the_trace_itself_tells_comes_first() -> None:
    class Own:
        def returned(self, code):
            return own if code == 1 else None

    own, other = Returned("int", 32, True, "int", signed=True), Returned("void", 0, False, "void")
    symbols = replace(vanished().symbols, prototypes=Own())
    typed = return_types.with_types(symbols, {("load_module", ""): other, (f"{OTHER:#x}", ""): other})
    assert [typed.returned(code) for code in (0, 1, 2, 5)] == [None, own, None, other]
    assert return_types.with_types(symbols, {("nobody", ""): other}) is symbols
