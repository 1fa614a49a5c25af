"""Return probes: on which functions, in which words, within which bounds."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from kfgraph.capture import probes
from kfgraph.capture.probes import definition, plan_probes, with_misses, with_untraced
from kfgraph.kernel.loader import MAX_PROBES
from kfgraph.kernel.module import Module
from kfgraph.model.companion import ModuleFunction, ModuleImage, ReturnProbe
from kfgraph.model.returned import PROBE_GROUP, Returned
from kfgraph.render.capture import CaptureSummary, summary

from .conftest import OPTIONS, make_tracefs


def module(
    *names: str, ambiguous: tuple[str, ...] = (), name: str = "foo", init: str = "", once: tuple[str, ...] = ()
) -> Module:
    sections = [".init.text" if n in (init, *once) else ".text" for n in names]
    functions = tuple(ModuleFunction(n, s, 16 * i, 16) for i, (n, s) in enumerate(zip(names, sections, strict=True)))
    return Module(ModuleImage(name, f"/{name}.ko", "", "6.1", functions), names, frozenset(ambiguous), init)


def test_order_words_and_what_is_left_out(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    foo = module("foo_init", "foo_get.isra.0", "foo_twice", "foo_set.constprop.0", ambiguous=("foo_twice",))
    plan = plan_probes(fs, [foo], globs=("vfs_*",), blacklist=frozenset({"vfs_read"}))
    assert [definition(p) for p in plan.probes] == [
        f"r:{PROBE_GROUP}/vfs_open vfs_open ret=$retval:x64",
        f"r:{PROBE_GROUP}/load_module load_module ret=$retval:x64",
        f"r:{PROBE_GROUP}/do_init_module do_init_module ret=$retval:x64",
        f"r:{PROBE_GROUP}/foo_init foo:foo_init ret=$retval:x64",
        f"r:{PROBE_GROUP}/foo_set_constprop_0 foo:foo_set.constprop.0 ret=$retval:x64",
    ]
    assert plan.notes == (
        "no return probe on vfs_read: the kernel allows no probe there",
        "no return probe on foo_get.isra.0: the compiler changed its return value (.isra)",
        "no return probe on foo_twice: several functions have this name",
    )


def test_no_more_than_the_cap(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    plan = plan_probes(fs, [module(*(f"foo_{i}" for i in range(100)))])
    assert len(plan.probes) == MAX_PROBES == 64
    assert plan.n_cut == 100 + 2 - MAX_PROBES
    assert f"no return probe on {plan.n_cut} more functions: at most 64 are set" in plan.notes


def test_those_that_tell_most_come_first(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    lib = module(*(f"lib_{i}" for i in range(90)), "lib_init", name="lib", init="lib_init")
    there = module("there_init", "there_x", name="there", init="there_init")
    first = module("first_x", "first_init", name="first", init="first_init")
    foo = module(
        "foo_x", "foo_y", "foo_probe", "foo_init", "foo_exit", init="foo_init", once=("foo_probe",)
    )
    plan = plan_probes(
        fs, [first, foo], needed=[there, lib], globs=("foo_y", "vfs_open"), loaded=frozenset({"there", "first"})
    )
    expected = ["foo_y", "vfs_open", "load_module", "do_init_module", "foo_init", "first_init", "lib_init"]
    expected += ["foo_probe", "foo_x", "foo_exit", "first_x", "lib_0", "lib_1"]
    assert [p.function for p in plan.probes][: len(expected)] == expected
    assert len(plan.probes) == MAX_PROBES
    assert plan.n_cut == len(expected) - 2 + 90 - MAX_PROBES


def test_a_name_of_the_module_is_the_modules_and_not_the_kernels(tmp_path: Path) -> None:
    plan = plan_probes(make_tracefs(tmp_path / "t"), [module("vfs_open", "foo")], globs=("vfs_open",))
    assert [(p.module, p.function) for p in plan.probes][:2] == [("foo", "vfs_open"), ("", "load_module")]
    assert [p.function for p in plan.probes].count("vfs_open") == 1


def test_what_is_loaded_is_read_from_the_kernels_list(tmp_path: Path) -> None:
    (tmp_path / "modules").write_text("dummy 16384 0 - Live 0x0\nxor 24576 1 btrfs, Live 0x0\n")
    assert probes.read_loaded(tmp_path / "modules") == {"dummy", "xor"}
    assert probes.read_loaded(tmp_path / "none") == frozenset()


def test_event_names_are_valid_and_unique(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    names = ("a.b", "a_b", "a-b", "9lives", "x" * 200, "x" * 201, "a_b_2")
    events = [p.event for p in plan_probes(fs, [module(*names)]).probes if p.module]
    assert events == ["a_b", "a_b_2", "a_b_3", "_9lives", "x" * 48, "x" * 48 + "_2", "a_b_2_2"]


@pytest.mark.parametrize(
    ("options", "has_kprobes", "note"),
    [
        ((*OPTIONS, "funcgraph-retval"), True, "no return probes: this kernel records return values itself"),
        (OPTIONS, False, "no return probes: this kernel has no kprobe events"),
    ],
)
def test_kernels_that_need_none_or_have_none(
    tmp_path: Path, options: tuple[str, ...], has_kprobes: bool, note: str
) -> None:
    fs = make_tracefs(tmp_path / "t", options=options)
    if not has_kprobes:
        (fs.root / "kprobe_events").unlink()
    plan = plan_probes(fs, [module("foo_init")])
    assert (plan.probes, plan.notrace, plan.notes) == ((), (), (note,))


def test_nothing_to_load_nothing_to_probe(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    assert plan_probes(fs, []) == plan_probes(fs, [module("f")], wanted=False) == probes.ProbePlan()


def test_refused_probes_are_said(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    (fs.root / "kprobe_events").unlink()
    probe = ReturnProbe(PROBE_GROUP, "f", "f", "")
    done, notes = probes.install(fs, [probe])
    assert (done, notes) == ((), {"f": "no return probe on f: No such file or directory"})


def test_a_name_that_several_functions_have_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fs = make_tracefs(tmp_path / "t")
    errors = {"f": errno.EADDRNOTAVAIL, "g": errno.EINVAL}

    def refuse(name: str, text: str) -> None:
        number = next((number for function, number in errors.items() if f"/{function} " in text), 0)
        if number:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fs, "append", refuse)
    asked = [ReturnProbe(PROBE_GROUP, name, name, "") for name in "fgh"]
    done, refused = probes.install(fs, asked)
    assert done == (asked[2],)
    assert refused == {
        "f": "no return probe on f: several functions have this name",
        "g": "no return probe on g: Invalid argument",
    }


def test_how_many_have_none_is_in_the_summary() -> None:
    result = CaptureSummary("trace.dat", 1, 1, 1, 1, n_probes=64, n_unprobed=770)
    assert "  64 return probes; 770 more functions have none: --returns GLOB chooses" in map(str, summary(result))
    assert not [line for line in summary(replace(result, n_unprobed=0)) if "probe" in str(line)]


def test_misses_are_read_from_the_profile(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    (fs.root / "kprobe_profile").write_text("  f     12      3\n  g      1      0\n")
    found = with_misses(fs, [ReturnProbe(PROBE_GROUP, n, n, "") for n in "fgh"])
    assert [p.n_missed for p in found] == [3, 0, 0]


def test_what_a_kernels_function_returns_decides_and_is_kept(tmp_path: Path) -> None:
    types = {
        "vfs_open": Returned("int", 32, True, "int", signed=True),
        "vfs_read": Returned("unsigned int", 32, False, "int"),
    }
    asked = replace(module("foo_init", init="foo_init"), imports=("vfs_read", "vfs_open"))
    plan = plan_probes(make_tracefs(tmp_path / "t"), [asked], returned=types.get)
    found = {p.function: p.returns for p in plan.probes}
    assert "vfs_read" not in found
    assert (found["vfs_open"], found["foo_init"], found["load_module"]) == (types["vfs_open"], None, None)


def test_what_returns_nobody_knows_what_has_a_probe(tmp_path: Path) -> None:
    types = {"vfs_read": Returned("void", 0, False, "void")}
    asked = replace(module("foo_init", init="foo_init"), imports=("vfs_read", "vfs_open"))
    plan = plan_probes(make_tracefs(tmp_path / "t"), [asked], returned=types.get)
    found = {p.function: p.returns for p in plan.probes}
    assert (found["vfs_open"], "vfs_read" in found) == (None, False)


def test_what_returns_a_bool_comes_behind_the_modules_own_and_what_returns_nothing_is_kept(tmp_path: Path) -> None:
    types = {
        "vfs_open": Returned("bool", 8, False, "bool"),
        "vfs_read": Returned("void", 0, False, "void"),
        "kthread_stop": Returned("int", 32, True, "int", signed=True),
    }
    fs = make_tracefs(tmp_path / "t")
    with (fs.root / "available_filter_functions").open("a") as file:
        file.write("kthread_stop\n")
    imports = ("vfs_read", "vfs_open", "kthread_stop", "not_there")
    asked = replace(module("foo_init", "foo_x", init="foo_init"), imports=imports)
    plan = plan_probes(fs, [asked], returned=types.get)
    names = [p.function for p in plan.probes if p.function not in ("load_module", "do_init_module")]
    assert names == ["foo_init", "kthread_stop", "foo_x", "vfs_open"]
    assert plan.types == (("vfs_read", types["vfs_read"]),)


def test_what_a_function_calls_and_cannot_be_traced_is_kept_if_it_can_fail(tmp_path: Path) -> None:
    number, nothing = Returned("int", 32, True, "int", signed=True), Returned("void", 0, False, "void")
    types = {"kstrtoint": number, "vfs_open": number, "memcpy": number, "sort_r": nothing, "kobject_put": number}
    foo = replace(module("foo_set", "foo_get"), calls={"foo_set": (*types, "no_type")})
    image = with_untraced(foo, make_tracefs(tmp_path / "t").functions(), types.get)
    assert {f.name: f.untraced for f in image.functions} == {"foo_set": ("kstrtoint",), "foo_get": ()}
