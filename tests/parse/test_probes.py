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
from kfgraph.model.marks import Losses, Marks
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
        ("ev", -1, OTHER, "0"),  # the last call's, outside any
        ("ev", 2, READ, "a string"),
    ],
)
def test_a_hit_that_does_not_fit_tells_nothing(hit) -> None:
    before = replace(vanished(hit), companion=Companion(probes=PROBES, modules=(MODULE,)))
    assert return_probes.apply(before, Given()) is before


def test_a_call_that_did_not_return_has_a_name_and_no_value() -> None:
    trace = vanished(("ev", 2, READ, "-5"))
    flags, duration, own = trace.calls.flags.copy(), trace.calls.duration_ns.copy(), trace.calls.self_ns.copy()
    flags[1:3] |= np.array([Flag.SELF_UNKNOWN, Flag.NO_EXIT], np.uint32)
    duration[2] = own[1] = own[2] = -1
    trace = replace(trace, calls=trace.calls.with_columns(flags=flags, duration_ns=duration, self_ns=own))
    after = applied(trace, Companion(probes=PROBES, modules=(MODULE,)))
    after.check()
    assert after.symbols.labels[3] == "foo_read [foo]"
    assert not after.calls.has(Flag.HAS_RETVAL).any()


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


def behind(trace: Trace, *, row: int, parent: int) -> Trace:
    """The trace with its marks between two calls: before call ``row``, inside ``parent``."""
    n = len(trace.marks)
    places = {"row": np.full(n, row, np.int32), "parent": np.full(n, parent, np.int32)}
    time_ns = np.arange(n) + int(trace.calls.start_ns[3]) + 50
    return replace(trace, marks=replace(trace.marks, **places, time_ns=time_ns))


def values(trace: Trace) -> list[int | None]:
    """What each call returned, None where that is not known."""
    after = return_probes.apply(trace.read_only(), Given())
    after.check()
    if after.calls.retval is None:
        assert after is trace
        return [None] * len(after.calls)
    known = after.calls.has(Flag.HAS_RETVAL).tolist()
    return [value if told else None for value, told in zip(after.calls.retval.tolist(), known, strict=True)]


def test_probes_that_somebody_set_give_values_and_no_names() -> None:
    trace = vanished(("mine", 2, READ, "-19"), ("else", 3, HELPER, "0xffffffffffffffed"), ("mine", 3, READ, "1"))
    assert values(trace) == [None, None, -19, -19, None]
    assert return_probes.apply(trace, Given()).symbols is trace.symbols


def test_a_hit_stands_just_behind_its_call_where_the_probe_was_set_first() -> None:
    trace = vanished(("mine", 1, READ, "-5"))
    assert values(behind(trace, row=3, parent=1)) == [None, None, -5, None, None]
    # Behind another call, or outside of the caller.
    assert values(behind(trace, row=4, parent=1)) == [None] * 5
    assert values(behind(trace, row=3, parent=0)) == [None] * 5
    # A call that was not recorded returned the second.
    again = vanished(("mine", 1, READ, "-5"), ("mine", 1, READ, "0"))
    assert values(behind(again, row=3, parent=1)) == [None, None, -5, None, None]


def test_a_hit_behind_a_loss_or_an_unfinished_call_tells_nothing() -> None:
    trace = behind(vanished(("mine", 1, READ, "-5")), row=3, parent=1)
    over, hit = int(trace.calls.start_ns[2] + trace.calls.duration_ns[2]), int(trace.marks.time_ns[0])
    places = ((over - 1, 0, True), (over + 1, 0, False), (hit, 0, False), (hit + 1, 0, True), (hit, 1, True))
    for at, cpu, known in places:
        one = np.zeros(1, np.int32)
        losses = Losses(np.array([at]), np.array([cpu], np.int16), np.array([7]), one, one + 3, one)
        assert values(replace(trace, losses=losses))[2] == (-5 if known else None), (at, cpu)
    flags = trace.calls.flags.copy()
    flags[2] |= np.uint32(Flag.NO_EXIT)
    duration = trace.calls.duration_ns.copy()
    duration[2] = -1
    own = trace.calls.self_ns.copy()
    own[2] = -1
    flags[1] |= np.uint32(Flag.SELF_UNKNOWN)
    own[1] = -1
    unfinished = trace.calls.with_columns(flags=flags, duration_ns=duration, self_ns=own)
    assert values(replace(trace, calls=unfinished)) == [None] * 5


class Held:
    """Fields of one event, as arrays."""

    def __init__(self, **fields) -> None:
        self.fields = {"__probe_func": np.array([READ], np.uint64), "__probe_ret_ip": np.array([1], np.uint64)}
        self.fields |= fields

    def names(self, code):
        return tuple(self.fields)

    def columns(self, code, rows, names):
        found = [self.fields.get(name) for name in names]
        return [None if values is None else (values, np.ones(1, np.bool_)) for values in found]


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"rv": np.array([0xFFFFFFED], np.uint64)}, 0xFFFFFFED),
        ({"arg1": np.array([0xFFFFFFED], np.uint32)}, -19),  # $retval:u32
        ({"ret": np.array([-19], np.int32), "comm": np.zeros((1, 16), np.uint8)}, -19),
        ({"ret": np.array([0xED], np.uint8)}, None),
        ({"rate": np.array([44_100], np.uint64)}, None),
        ({"ret": np.array([0], np.uint64), "err": np.array([5], np.uint64)}, None),
        ({"arg1": np.array([0], np.uint64), "arg2": np.array([5], np.uint64)}, None),
        ({"ret": np.zeros((1, 4), np.uint8)}, None),
    ],
)  # fmt: skip
def test_which_field_of_somebodys_probe_is_the_return_value(fields, value) -> None:
    trace = vanished(("mine", 2, READ, "0"))
    trace = replace(trace, marks=replace(trace.marks, source=Held(**fields)))
    assert values(trace) == [None, None, value, None, None]


def test_what_the_tracer_recorded_is_kept() -> None:
    trace = vanished(("mine", 2, READ, "-19"))
    recorded = trace.calls.with_columns(retval=np.arange(5), flags=trace.calls.flags | np.uint32(Flag.HAS_RETVAL))
    assert values(replace(trace, calls=recorded)) == [0, 1, 2, 3, 4]
    kprobe = Held()
    del kprobe.fields["__probe_ret_ip"]
    kprobe.fields["ret"] = np.array([7], np.uint64)
    assert values(replace(trace, marks=replace(trace.marks, source=kprobe))) == [None] * 5
