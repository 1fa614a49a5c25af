"""What a command knows of its command line, also of one that is not the process's."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import kfgraph
from kfgraph.cli import tracing
from kfgraph.cli.invocation import Invocation, current, running
from kfgraph.errors import CaptureError
from kfgraph.model.trace import Trace

SOURCE = Path(kfgraph.__file__).parent
# These are programs of their own.
PROGRAMS = {"capture/guest/worker.py", "capture/guest/agent.py"}


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the traces whose tables were checked."""
    checked: list[str] = []
    whole = Trace.check

    def check(trace: Trace) -> None:
        checked.append(trace.meta.path)
        whole(trace)

    monkeypatch.setattr(Trace, "check", check)
    return checked


@pytest.mark.parametrize("command", ["show", "top", "info"])
@pytest.mark.parametrize("of_process", [[], ["--debug", "show"]])
def test_debug_checks_the_tables_whatever_the_process_was_started_with(
    command: str, of_process: list[str], repository: Path, checks: list[str], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["pytest", *of_process])
    trace = str(repository / "examples" / "insmod-foo-fail19.dat")
    assert kfgraph.main(["--debug", command, trace]) == 0
    assert checks == [trace]
    assert kfgraph.main([command, trace]) == 0
    assert checks == [trace]
    capsys.readouterr()


def test_a_broken_table_is_a_bug_with_its_traceback_under_debug_only(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(trace: Trace) -> None:
        raise AssertionError("row 3: broken")

    monkeypatch.setattr(Trace, "check", broken)
    trace = str(repository / "examples" / "insmod-foo-fail19.dat")
    with pytest.raises(AssertionError, match="row 3: broken"):
        kfgraph.main(["--debug", "top", trace])
    assert kfgraph.main(["top", trace]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(("argv", "debug"), [
    ([], False), (["--debug"], True), (["--debug", "show"], True), (["show", "--debug"], False),
    (["--version", "--debug"], True), (["trace", "prog", "--debug"], False),
])  # fmt: skip
def test_debug_is_one_of_kfgraphs_own_options(argv: list[str], debug: bool) -> None:
    invocation = Invocation.of(argv)
    assert (invocation.debug, invocation.line) == (debug, ("kfgraph", *argv))


def test_the_current_one_is_that_which_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/kf graph", "--debug", "top"])
    assert current() == Invocation("/opt/kf graph", ("--debug", "top"), True)
    with running(Invocation.of(["show"])):
        with running(Invocation.of(["--debug"])):
            assert current().argv == ("--debug",)
        assert current() == Invocation("kfgraph", ("show",), False)
    assert current().program == "/opt/kf graph"


def test_what_the_system_refuses_is_a_traceback_under_debug_only() -> None:
    with running(Invocation.of(["--debug", "trace"])), pytest.raises(PermissionError), tracing.own_failures():
        raise PermissionError(13, "Permission denied", "f")
    typed = Invocation.of(["trace", "--debug"])
    with running(typed), pytest.raises(CaptureError, match="f: Permission denied"), tracing.own_failures():
        raise PermissionError(13, "Permission denied", "f")


def test_one_place_looks_at_what_the_process_was_started_with() -> None:
    looking = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "argv" and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
    }  # fmt: skip
    assert looking == PROGRAMS | {"cli/invocation.py"}
