"""Plain command lines mean the same with and without typer."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Mapping
from typing import Any

import pytest

from kfgraph.cli import fastparse, trace, typed

PLAIN = (
    "ls",
    "-q --no-returns -o A.dat -- perl child.pl -o B.dat",
    "-o t.dat -f insmod foo.ko fail=19 -- -x",
    "--root=vfs_open --root vfs_read --exclude= --only :mod:foo true",
    "--args --no-retval true",
    "--no-args --args true",
    "-p 1 -p 2 --duration 2.5 --max-depth 3",
    "--output -o.dat --buffer=4M --env A=B=C --user nobody -- -strange-command",
    "--guest-kernel list",
    "-",
    "--",
    "",
)
OTHERS = (
    "-h",
    "--help",
    "-qf true",
    "-oA.dat true",
    "--nosuch true",
    "--quiet=yes true",
    "-o",
    "-p one",
    "--max-depth 1.5 true",
    "--root",
)


def with_typer(monkeypatch: pytest.MonkeyPatch, line: str) -> Mapping[str, Any] | None:
    """What typer calls the command with, less what is not given; None if it calls nothing."""
    calls: list[dict[str, Any]] = []
    signature = inspect.signature(trace.run)

    def run(**arguments: Any) -> int:
        calls.append({k: v for k, v in arguments.items() if v != signature.parameters[k].default and v != []})
        return 0

    run.__signature__ = inspect.signature(trace.run, eval_str=True)  # type: ignore[attr-defined]
    run.__annotations__ = inspect.get_annotations(trace.run, eval_str=True)
    monkeypatch.setattr(trace, "run", run)
    try:
        typed.run(["trace", *shlex.split(line)])
    except Exception:
        return None
    return calls[0] if calls else None


@pytest.mark.parametrize("line", PLAIN)
def test_a_plain_line_means_what_typer_says(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    found = fastparse.parse(trace.run, shlex.split(line))
    assert found is not None
    assert found == with_typer(monkeypatch, line)


@pytest.mark.parametrize("line", OTHERS)
def test_what_is_not_plain_is_left_to_typer(line: str) -> None:
    assert fastparse.parse(trace.run, shlex.split(line)) is None


def test_every_option_of_trace_is_understood() -> None:
    operands, meanings = fastparse._declared(trace.run)
    parameters = {meaning.parameter for meaning in meanings.values()} | {operands}
    assert parameters == set(inspect.signature(trace.run).parameters)
