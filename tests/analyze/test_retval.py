"""What a return value is: an error for sure, what looks like one, a number, junk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import kfgraph
from builder.tables import Call, call, trace_of
from kfgraph.analyze.errorlist import errors
from kfgraph.analyze.retval import decoded, errors_of, values_of
from kfgraph.kernel.btf import Btf
from kfgraph.kernel.loader import LOADER_FUNCTIONS
from kfgraph.kernel.returns import Fails, error_name, fails, is_sure, known
from kfgraph.model.calls import UNKNOWN_CONTEXT
from kfgraph.model.spelling import plain_name
from kfgraph.model.symbols import Returned
from kfgraph.model.trace import Trace
from kfgraph.render.errorlist import ErrorsView

WHOLE = 1 << 64
TYPES = {
    "void": Returned("void", 0, False, "void"),
    "bool": Returned("bool", 8, False, "bool"),
    "s8": Returned("s8", 8, False, "int", True),
    "u16": Returned("u16", 16, False, "int"),
    "s16": Returned("short int", 16, False, "int", True),
    "int": Returned("int", 32, True, "int", True),
    "u32": Returned("unsigned int", 32, False, "int"),
    "enum": Returned("enum state", 32, True, "enum"),
    "long": Returned("long int", 64, True, "int", True),
    "ulong": Returned("long unsigned int", 64, True, "int"),
    "size_t": Returned("size_t", 64, False, "int"),
    "page": Returned("struct page *", 64, True, "pointer"),
    "page32": Returned("struct page *", 32, True, "pointer"),
    "loff32": Returned("loff_t", 32, True, "unknown"),
    "pte": Returned("pte_t", 64, False, "struct"),
}


def err(number: int, *, half: bool = True) -> int:
    """A register that holds -number as an int (the upper half is zero), or as a long."""
    return (1 << 32 if half else WHOLE) - number


@dataclass(frozen=True)
class Told:
    """Types by name, as a trace's BTF tells them: the word before the first underscore is the type's name."""

    names: tuple[str, ...]

    def returned(self, code: int) -> Returned | None:
        return TYPES.get(self.names[code].partition("_")[0])


def typed(*roots: Call) -> Trace:
    trace = trace_of(roots)
    return replace(trace, symbols=replace(trace.symbols, prototypes=Told(trace.symbols.names)))


def said(trace: Trace) -> list[tuple[str, int, bool]]:
    """(function, error, sure) of every call that returned what may be one."""
    errors = errors_of(trace.calls, trace.symbols)
    assert errors.codes.dtype == np.int16
    assert not errors.sure[errors.codes == 0].any()
    return [
        (trace.symbols.labels[trace.calls.func[row]], int(errors.codes[row]), bool(errors.sure[row]))
        for row in np.flatnonzero(errors.codes).tolist()
    ]


@pytest.mark.parametrize(("name", "half", "whole", "sure"), [
    ("void_f", 0, 0, False), ("bool_f", 0, 0, False), ("s8_f", 0, 0, False), ("u16_f", 0, 0, False),
    ("s16_f", 0, 0, False), ("int_f", -22, -22, True), ("u32_f", 0, 0, False), ("enum_f", -22, -22, False),
    ("long_f", 0, -22, True), ("ulong_f", 0, -22, False), ("size_t", 0, 0, False), ("page_f", 0, -22, True),
    ("page32_f", -22, -22, True), ("loff32_f", -22, -22, False), ("pte_f", 0, 0, False), ("nobody_f", -22, -22, False),
])  # fmt: skip
def test_the_type_decides(name: str, half: int, whole: int, sure: bool) -> None:
    for register, error in ((err(22), half), (err(22, half=False), whole)):
        trace = typed(call(name, retval=register))
        if name == "size_t":
            trace = replace(trace, symbols=replace(trace.symbols, prototypes=Same(TYPES["size_t"])))
        assert said(trace) == ([(name, error, sure)] if error else [])


@dataclass(frozen=True)
class Same:
    type: Returned

    def returned(self, code: int) -> Returned | None:
        return self.type if code else None


@pytest.mark.parametrize(("name", "register", "value"), [
    ("int", err(2), -2), ("int", err(2, half=False), -2), ("int", 0xDEAD_0000_0007, 7),
    ("int", 0x8000_0000, -(1 << 31)),
    ("bool", 0xFFFF_FF01, 1), ("bool", 0xFFFF_FF00, 0), ("s8", 0x1F0, -16), ("u16", 0xABCD_FFFE, 0xFFFE),
    ("s16", 0xABCD_FFFE, -2), ("u32", err(2), 0xFFFF_FFFE), ("u32", 0x1_0000_0003, 3), ("enum", err(1), -1),
    ("enum", 0x8000_0000, 0x8000_0000), ("long", err(2), 0xFFFF_FFFE), ("long", err(2, half=False), -2),
    ("ulong", err(12, half=False), -12), ("page", 0xFFFF_8880_0000_1000, 0xFFFF_8880_0000_1000 - WHOLE), ("page", 0, 0),
    ("page32", err(12), -12), ("page32", 0xC123_4000, 0xC123_4000), ("loff32", err(22), -22),
    ("nobody", err(2), -2), ("nobody", err(4096), (1 << 32) - 4096), ("nobody", err(4095, half=False), -4095),
])  # fmt: skip
def test_a_value_is_what_its_type_makes_of_the_register(name: str, register: int, value: int) -> None:
    trace = typed(call(f"{name}_f", retval=register), call("int_g"))
    values, has = values_of(trace.calls, trace.symbols, np.arange(2))
    assert (has.tolist(), int(values[0])) == ([True, False], value)
    assert decoded(TYPES.get(name), trace.calls.retval[:1]).tolist() == [value]  # type: ignore[index]


def test_a_register_that_was_not_recorded_is_no_error() -> None:
    trace = typed(call("int_f", 1, retval=err(2)), call("int_f", 1, retval=err(2)))
    flags = trace.calls.flags.copy()
    flags[1] = 0
    trace = replace(trace, calls=trace.calls.with_columns(flags=flags))
    assert said(trace) == [("int_f", -2, True)]
    assert values_of(trace.calls, trace.symbols, np.arange(2))[1].tolist() == [True, False]


def test_what_returns_nothing_has_no_value() -> None:
    trace = typed(call("void_f", retval=err(2)), call("kfree", retval=err(2)), call("int_f", retval=1))
    values, has = values_of(trace.calls, trace.symbols, np.array([2, 0, 1]))
    assert (has.tolist(), int(values[0])) == ([True, False, False], 1)


def test_minus_one_of_an_int_is_any_number_unless_a_caller_says_so() -> None:
    trace = typed(
        call("int_f", 1, retval=err(1)),
        call("page_f", 1, retval=err(1, half=False)),
        call("__x64_sys_kill", 1, call("int_g", 1, call("int_h", 1, retval=err(1)), retval=err(1)), retval=err(1)),
    )
    assert said(trace) == [
        ("int_f", -1, False), ("page_f", -1, True), ("__x64_sys_kill", -1, True), ("int_g", -1, True),
        ("int_h", -1, True),
    ]  # fmt: skip


def test_a_number_without_a_name_is_no_error_for_sure() -> None:
    assert said(typed(call("int_f", retval=err(255)), call("page_f", retval=err(255, half=False)))) == [
        ("int_f", -255, False), ("page_f", -255, True),
    ]  # fmt: skip


def test_an_error_is_followed_down_from_a_caller_that_failed_for_sure() -> None:
    """Of the callees whose type is not known the first that returned it; what runs after it may hold it by chance."""
    trace = trace_of([
        call("do_init_module", 1,
             call("try_module_get", 1, retval=err(19)),
             call("do_one_initcall", 1,
                  call("foo_init [foo]", 1,
                       call("foo_alloc [foo]", 1, retval=0xFFFF_8880_0000_0000),
                       call("foo_probe [foo]", 1, call("foo_read [foo]", 1, retval=err(5)), retval=err(19)),
                       call("foo_probe [foo]", 1, retval=err(19)),
                       call("foo_teardown [foo]", 1, call("foo_free [foo]", 1, retval=err(19)), retval=err(19)),
                       call("kfree", 1, retval=err(19)), retval=err(19)), retval=err(19)),
             call("free_everything", 1, retval=err(19)), retval=err(19)),
        call("foo_exit [foo]", 1, call("foo_last [foo]", 1, retval=err(19)), retval=err(19)),
    ])  # fmt: skip
    assert said(trace) == [
        ("do_init_module", -19, True), ("do_one_initcall", -19, True), ("foo_init [foo]", -19, True),
        ("foo_probe [foo]", -19, True), ("foo_read [foo]", -5, False), ("foo_probe [foo]", -19, True),
        ("foo_teardown [foo]", -19, False), ("foo_free [foo]", -19, False), ("free_everything", -19, False),
        ("foo_exit [foo]", -19, False), ("foo_last [foo]", -19, False),
    ]  # fmt: skip


def test_an_interrupt_is_no_callee_that_hands_an_error_up() -> None:
    """What it returned is as sure as its own type says, and it does not stand before the callee that failed."""
    def timer(*below: Call, name: str = "__sysvec_apic_timer_interrupt", **odd: int) -> Call:
        return call(name, 1, *below, retval=err(22), context=2, **odd)

    below = [call("tick", 1, retval=err(22), context=2), call("int_tick", 1, retval=err(22), context=2)]
    trace = typed(
        call("__x64_sys_read", 1,
             call("vfs_read", 1, timer(*below), timer(name="handler"), call("tick", 1, retval=err(22)),
                  call("read_iter", 1, retval=err(22)), retval=err(22)), retval=err(22)),
    )  # fmt: skip
    assert said(trace) == [
        ("__x64_sys_read", -22, True), ("vfs_read", -22, True), ("__sysvec_apic_timer_interrupt", -22, False),
        ("tick", -22, False), ("int_tick", -22, True), ("handler", -22, False), ("tick", -22, True),
        ("read_iter", -22, False),
    ]  # fmt: skip
    # Its wrapper may run before the context says so.
    wrapper = call("__sysvec_apic_timer_interrupt", 1, retval=err(22))
    assert said(trace_of([call("__x64_sys_read", 1, wrapper, retval=err(22))]))[1:] == [
        ("__sysvec_apic_timer_interrupt", -22, False),
    ]  # fmt: skip
    # Inside of the interrupt its own functions hand errors up.
    inside = call("int_tick", 1, call("tick", 1, retval=err(22), context=2), retval=err(22), context=2)
    trace = typed(call("__x64_sys_read", 1, inside, retval=err(22)))
    assert said(trace)[1:] == [("int_tick", -22, True), ("tick", -22, True)]


@pytest.mark.parametrize(("context", "around", "sure"), [
    (0, 0, True), (1, 1, True), (0, 1, False), (1, 2, False), (UNKNOWN_CONTEXT, 1, True), (0, UNKNOWN_CONTEXT, True),
])  # fmt: skip
def test_a_callee_runs_in_its_caller_s_context(context: int, around: int, sure: bool) -> None:
    callee = call("f", 1, retval=err(22), context=context)
    trace = trace_of([call("__x64_sys_read", 1, callee, retval=err(22), context=around)])
    assert said(trace) == [("__x64_sys_read", -22, True), ("f", -22, sure)]


def test_types_know_better_than_names() -> None:
    trace = trace_of([call("__hrtimer_run_queues", retval=err(1)), call("mutex_unlock", retval=err(2))])
    assert said(trace) == []
    told = replace(trace.symbols, prototypes=Same(TYPES["int"]))
    assert said(replace(trace, symbols=told)) == [
        ("__hrtimer_run_queues", -1, False), ("mutex_unlock", -2, True),
    ]  # fmt: skip


def test_a_module_has_functions_of_its_own() -> None:
    trace = trace_of([call("kfree [mine]", retval=err(2)), call("load_module [mine]", retval=err(2))])
    assert said(trace) == [("kfree [mine]", -2, False), ("load_module [mine]", -2, False)]


@pytest.mark.parametrize(("name", "how"), [
    ("__x64_sys_openat", Fails.ALWAYS), ("__ia32_compat_sys_open", Fails.ALWAYS), ("__s390x_sys_read", Fails.ALWAYS),
    ("__do_sys_finit_module", Fails.ALWAYS), ("__se_sys_brk", Fails.ALWAYS), ("sys_open", Fails.ALWAYS),
    ("SyS_open", Fails.ALWAYS), ("__arm64_sys_close", Fails.ALWAYS), ("sys_imageblit", Fails.MAYBE),
    ("do_sys_openat2", Fails.MAYBE), ("proc_sys_open", Fails.MAYBE), ("load_module", Fails.ALWAYS),
    ("load_module.constprop.0", Fails.ALWAYS), ("load_module.isra.0", Fails.MAYBE), ("schedule", Fails.NEVER),
    ("schedule.part.0", Fails.NEVER), ("kfree.constprop.0.isra.0", Fails.NEVER), ("", Fails.MAYBE),
    ("0xffffffffc0b08014", Fails.MAYBE), ("strcmp", Fails.NEVER), ("cmp_name", Fails.NEVER), ("memcmp", Fails.NEVER),
    ("btf_sec_info_cmp", Fails.NEVER), ("keyring_compare_object", Fails.MAYBE),
    ("__percpu_counter_compare", Fails.NEVER),
    ("nft_cmp_init", Fails.MAYBE), ("ip_vs_in_icmp", Fails.MAYBE), ("generic_ci_d_compare", Fails.MAYBE),
    ("futex_cmpxchg_value", Fails.MAYBE), ("bpf_strncmp", Fails.MAYBE), ("dequeue_entities", Fails.NEVER),
])  # fmt: skip
def test_what_a_name_tells(name: str, how: Fails) -> None:
    assert fails(name, "", None) is how


def test_an_int_of_a_comparator_is_no_error_number() -> None:
    assert fails("cmp_name", "", TYPES["int"]) is Fails.NEVER
    assert fails("cmp_name", "", TYPES["page"]) is Fails.ALWAYS
    assert fails("f.isra.0", "", TYPES["int"]) is Fails.MAYBE
    assert fails("f.constprop.0", "", TYPES["int"]) is Fails.NAMED
    assert known("f") is None and plain_name(".hidden") == ".hidden"


def test_names_of_errors() -> None:
    assert [error_name(n, sure=True) for n in (0, -1, -2, -255, -517)] == ["", "EPERM", "ENOENT", "", "EPROBE_DEFER"]
    assert [error_name(n, sure=False) for n in (-1, -2)] == ["", "ENOENT"]
    assert error_name(-110, sure=True, arch="mips64") == ""
    assert [is_sure(-1, how) for how in Fails] == [False, False, False, True]


def test_the_list_of_errors_names_a_minus_one_only_where_it_is_sure() -> None:
    trace = trace_of([
        call("compute", 1, call("f", 1, retval=err(1)), retval=0),
        call("__x64_sys_kill", 1, retval=err(1, half=False)),
        call("g", 1, retval=err(19)),
    ])  # fmt: skip
    rows = errors(trace, unsure=True)
    assert [(row.function, row.to_dict()["error"], row.sure) for row in rows] == [
        ("f", None, False), ("__x64_sys_kill", "EPERM", True), ("g", "ENODEV", False),
    ]  # fmt: skip
    words = [word for line in ErrorsView(trace, rows).lines(80) for word in line.plain.split()]
    assert [word for word in words if word.startswith("-")] == ["-1", "-EPERM", "-ENODEV?"]
    assert [row.function for row in errors(trace, ret=1)] == ["__x64_sys_kill"]
    assert errors(trace, ret=[1], unsure=True) == errors(trace, ret=1, unsure=True) == rows[:2]


def test_a_failing_insmod_fails_for_sure_from_top_to_bottom(repository: Path) -> None:
    trace = kfgraph.load(repository / "examples" / "insmod-foo-fail19.dat")
    assert said(trace) == [
        (name, -19, True)
        for name in ("load_module", "do_init_module", "do_one_initcall", "foo_init [foo]", "foo_probe [foo]",
                     "foo_probe_slot [foo]", "foo_read_id [foo]")
    ]  # fmt: skip


def test_a_failed_open_fails_for_sure_and_nothing_else_does(repository: Path) -> None:
    """Without types in the file: what the system calls returned, and whence it came."""
    found = said(kfgraph.load(repository / "examples" / "cat-enoent.dat"))
    sure = [(name, error) for name, error, certain in found if certain]
    assert sure == [
        (name, -2)
        for name in ("__x64_sys_access", "do_faccessat", "filename_lookup", "path_lookupat", "step_into_slowpath",
                     "__x64_sys_openat", "do_sys_openat2", "do_file_open", "path_openat", "atomic_open")
    ]  # fmt: skip
    assert {name for name, _, certain in found if not certain} == {
        "__filemap_get_folio_mpol", "__vfs_getxattr", "xattr_resolve_name", "p9_client_walk", "p9_client_rpc",
        "p9_check_errors", "link_path_walk", "load_script", "get_vfs_caps_from_disk",
    }  # fmt: skip


def test_the_table_says_what_a_kernel_s_types_say(shared_traces: Path) -> None:
    compared = 0
    for name in ("7.2-retval/widget-fail19-args-retaddr.dat", "7.2/insmod-dummy-args.dat"):
        prototypes = kfgraph.load(shared_traces / name).symbols.prototypes
        btf = Btf(prototypes._read())  # type: ignore[union-attr]
        from kfgraph.kernel.returns import _KNOWN

        for function, returned in _KNOWN.items():
            told = btf.prototype(function)
            if told is not None:
                compared += 1
                assert (told.returns.kind, told.returns.size * 8) == (returned.kind, returned.n_bits), function
        for function in LOADER_FUNCTIONS:
            told = btf.prototype(function)
            assert told is None or told.can_fail(8), function
    assert compared > 300
