"""How often ``why`` is right on recordings of modules whose error's birthplace is known: the bars are held.

The recordings are cut (builder.cut): see fixtures/README.md.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import blame
import pytest

import kfgraph
from kfgraph.analyze.why import why

HERE = Path(__file__).parent
KERNELS = ["6.1", "6.12", "7.2"]
WITH_VALUES = ("7.2",)
"""Of these kernels each record holds the return value; of the others return probes have those of some functions."""


def files(name: str, *, twins: bool) -> list[Path]:
    found = sorted(blame.recordings(HERE / "fixtures" / name).glob("*.dat"))
    return [file for file in found if ("." in file.stem) == twins]


def test_every_module_was_recorded_failing_and_not() -> None:
    modules = {file.stem for file in (HERE / "modules").glob("*.c")}
    assert [folder.name for folder in blame.kernels()] == KERNELS
    for kernel in KERNELS:
        failing = {file.stem for file in files(kernel, twins=False)}
        assert failing <= modules and len(failing) >= len(modules) - 1
        assert {file.stem.partition(".")[0] for file in files(kernel, twins=True)} == failing


def test_the_fixtures_are_small() -> None:
    folders = HERE / "fixtures", HERE / "everyday" / "fixtures"
    assert sum(f.stat().st_size for folder in folders for f in folder.rglob("*") if f.is_file()) < 15 << 20


def everyday(kernel: str, *, failing: bool) -> list[Path]:
    truths = json.loads((HERE / "everyday" / "truths.json").read_text())
    folder = HERE / "everyday" / "fixtures" / kernel
    return [file for file in sorted(folder.glob("*.dat")) if (file.stem in truths) == failing]


def test_everyday_failures_with_return_values() -> None:
    scored = [blame.score_everyday(file) for file in everyday("7.2", failing=True)]
    wrong = [(one.name, one.verdict, one.said) for one in scored if one.verdict != "exact"]
    assert len(scored) >= 25 and len(wrong) <= 0.05 * len(scored), wrong
    assert not [one for one in wrong if one[1] == "wrong but sure"]


def test_everyday_failures_without_return_values_name_the_call_and_blame_nobody() -> None:
    scored = [blame.score_everyday(file) for file in everyday("6.1", failing=True)]
    wrong = [(one.name, one.verdict, one.said) for one in scored if one.verdict.startswith("wrong")]
    assert len(scored) >= 25 and len(wrong) <= 0.05 * len(scored), wrong
    assert not [one for one in wrong if one[1] != "wrong call"]


@pytest.mark.parametrize(("kernel", "values"), [("6.1", True), ("7.2", False)])
def test_without_return_values_the_origin_of_everyday_failures_is_among_three(kernel: str, values: bool) -> None:
    scored = [blame.score_everyday(file, values=values) for file in everyday(kernel, failing=True)]
    found = [one for one in scored if one.verdict in ("exact", "among three")]
    assert len(scored) >= 25 and len(found) >= 0.9 * len(scored), set(scored) - set(found)


@pytest.mark.parametrize("kernel", ["6.1", "7.2"])
def test_everyday_commands_that_succeed_are_not_blamed(kernel: str) -> None:
    scored = [blame.score_everyday(file) for file in everyday(kernel, failing=False)]
    assert len(scored) >= 20
    assert [(one.name, one.said) for one in scored if one.verdict != "exact"] == []


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_birthplace_is_right(kernel: str) -> None:
    scored = [blame.score(file) for file in files(kernel, twins=False)]
    verdicts = Counter(one.verdict for one in scored)
    # Where only probes tell, the honest bound is right, too.
    right = verdicts["exact"] + (verdicts["bound"] if kernel not in WITH_VALUES else 0)
    wrong = [(one.name, one.verdict, one.said) for one in scored if one.verdict not in ("exact", "bound")]
    assert right >= (0.95 if kernel in WITH_VALUES else 0.85) * len(scored), wrong
    assert verdicts["wrong but sure"] <= 0.01 * len(scored), wrong


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_succeeded_is_not_blamed(kernel: str) -> None:
    scored = [blame.score(file) for file in files(kernel, twins=True)]
    assert len(scored) >= 49
    assert [one.name for one in scored if one.verdict != "exact"] == []


@pytest.mark.parametrize("kernel", KERNELS)
def test_without_values_the_right_one_is_among_the_first_three(kernel: str) -> None:
    scored = [blame.score(file, values=False) for file in files(kernel, twins=False)]
    scored = [one for one in scored if one.verdict != "nothing failed"]
    assert len(scored) >= 47
    among = [one for one in scored if one.verdict == "among three"]
    assert len(among) >= 0.75 * len(scored), [(one.name, one.said) for one in scored if one not in among]


def test_a_batch_of_commands_that_succeed_is_not_blamed_whether_the_status_is_known_or_not() -> None:
    found = sorted(blame.recordings(HERE / "everyday" / "fixtures" / "passing-6.1").glob("*.dat"))
    assert len(found) >= 30
    for file in found:
        trace = kfgraph.load(file)
        assert trace.companion is not None and trace.companion.exit_status == 0
        unknown = replace(trace, companion=replace(trace.companion, exit_status=None))
        for one in (trace, unknown):
            answer = why(one)
            assert (answer.outcome, answer.swallowed, answer.exit_code) == ("nothing", (), 6), file.stem


MORE = sorted(file.name.removesuffix(".tar.xz") for file in (HERE / "fixtures").glob("more-*.tar.xz"))


@pytest.mark.parametrize("name", MORE)
def test_modules_that_the_rules_were_not_made_with(name: str) -> None:
    modules = blame.sources(blame.recordings(HERE / "fixtures" / name), HERE / "more_modules")
    scored = [blame.score(file, modules=modules) for file in files(name, twins=False)]
    wrong = [(one.name, one.verdict, one.said) for one in scored if one.verdict not in ("exact", "bound")]
    assert len(scored) >= 17 and len(wrong) <= 0.05 * len(scored), wrong
    assert not [one for one in wrong if one[1] == "wrong but sure"]
    twins = [blame.score(file, modules=modules) for file in files(name, twins=True)]
    assert [one.name for one in twins if one.verdict != "exact"] == [] and len(twins) == len(scored)
    blind = [blame.score(file, modules=modules, values=False) for file in files(name, twins=False)]
    blind = [one for one in blind if one.verdict != "nothing failed"]
    among = [one for one in blind if one.verdict == "among three"]
    assert len(among) >= 0.75 * len(blind), [(one.name, one.said) for one in blind if one not in among]


def test_a_seccomp_filter_that_refused_a_call_is_named() -> None:
    for kernel, said in (("7.2", "__seccomp_filter"), ("6.1", "unknown")):
        one = blame.score_everyday(HERE / "everyday" / "fixtures" / kernel / "seccomp.dat")
        assert (one.verdict, one.said) == ("exact" if kernel == "7.2" else "not known", said)
    answer = why(kfgraph.load(HERE / "everyday" / "fixtures" / "6.1" / "seccomp.dat"))
    assert answer.reason.endswith("a seccomp filter ran, which may have refused it")


def test_a_store_in_sysfs_and_errors_that_the_kernel_injects() -> None:
    """What a module's store refuses, alone and made to by fail_function, and a system call that is never run."""
    folder = HERE / "everyday" / "fixtures" / "7.2"
    for name, error, way in (
        ("store_refused", -33, ["level_store", "gate_apply", "gate_limit"]),
        ("store_injected", -5, ["level_store", "gate_apply", "gate_limit"]),
        ("call_injected", -5, ["__x64_sys_sethostname"]),
    ):
        answer = why(kfgraph.load(folder / f"{name}.dat"))
        assert answer.birth is not None and answer.birth.exact and answer.birth.sure, name
        assert answer.error == error and [step.function for step in answer.chain][-len(way) :] == way
    assert why(kfgraph.load(folder / "store_taken.dat")).exit_code == 6


def test_what_usually_decides_nothing_is_named_where_the_program_ended_for_it() -> None:
    folder = HERE / "everyday" / "fixtures" / "7.2"
    for name, subject in (
        ("not_a_terminal", "ioctl()"),
        ("missing_library", 'openat("/usr/lib/libkfgraph-nowhere.so")'),
    ):
        answer = why(kfgraph.load(folder / f"{name}.dat"))
        assert answer.subject == subject and answer.birth is not None and not answer.birth.sure
        assert "the program ended right after it" in answer.doubts[0]
