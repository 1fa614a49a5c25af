"""Return probes: on which functions, in which words, within which bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from kfgraph.capture import probes
from kfgraph.capture.probes import GROUP, definition, plan_probes, with_misses
from kfgraph.kernel.loader import MAX_PROBES
from kfgraph.kernel.module import Module
from kfgraph.model.companion import ModuleFunction, ModuleImage, ReturnProbe

from .conftest import OPTIONS, make_tracefs


def module(*names: str, ambiguous: tuple[str, ...] = (), name: str = "foo") -> Module:
    functions = tuple(ModuleFunction(n, ".text", 16 * i, 16) for i, n in enumerate(names))
    return Module(ModuleImage(name, f"/{name}.ko", "", "6.1", functions), (), names, frozenset(ambiguous))


def test_order_words_and_what_is_left_out(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    foo = module("foo_init", "foo_get.isra.0", "foo_twice", "foo_set.constprop.0", ambiguous=("foo_twice",))
    plan = plan_probes(fs, [foo], globs=("vfs_*", "none_*"), blacklist=frozenset({"vfs_read"}))
    assert [definition(p) for p in plan.probes] == [
        f"r:{GROUP}/vfs_open vfs_open ret=$retval:x64",
        f"r:{GROUP}/foo_init foo:foo_init ret=$retval:x64",
        f"r:{GROUP}/foo_set_constprop_0 foo:foo_set.constprop.0 ret=$retval:x64",
        f"r:{GROUP}/load_module load_module ret=$retval:x64",
        f"r:{GROUP}/do_init_module do_init_module ret=$retval:x64",
    ]
    assert plan.notes == (
        "no return probe for --returns none_*: no such function",
        "no return probe on vfs_read: the kernel allows no probe there",
        "no return probe on foo_get.isra.0: the compiler changed its return value (.isra)",
        "no return probe on foo_twice: several functions have this name",
        "not traced, for the return probes would fill the trace with them: ",
    )


def test_no_more_than_the_cap(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    plan = plan_probes(fs, [module(*(f"foo_{i}" for i in range(100)))])
    assert len(plan.probes) == MAX_PROBES == 64
    assert f"no return probe on {100 + 2 - MAX_PROBES} more functions: at most 64 are set" in plan.notes


def test_event_names_are_valid_and_unique(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    names = ("a.b", "a_b", "a-b", "9lives", "x" * 200, "x" * 201)
    events = [p.event for p in plan_probes(fs, [module(*names)]).probes if p.module]
    assert events == ["a_b", "a_b_2", "a_b_3", "_9lives", "x" * 48, "x" * 48 + "_2"]


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
    probe = ReturnProbe(GROUP, "f", "f", "")
    done, notes = probes.install(fs, [probe])
    assert (done, notes) == ((), ("no return probe on f: No such file or directory",))


def test_misses_are_read_from_the_profile(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    (fs.root / "kprobe_profile").write_text("  f     12      3\n  g      1      0\n")
    found = with_misses(fs, [ReturnProbe(GROUP, n, n, "") for n in "fgh"])
    assert [p.n_missed for p in found] == [3, 0, 0]
