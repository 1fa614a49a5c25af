"""Plain command lines mean the same with and without typer, for every command."""

from __future__ import annotations

import importlib
import inspect
import shlex
from collections.abc import Callable
from typing import Any, get_args

import pytest

from kfgraph.analyze import filters
from kfgraph.cli import fastparse, typed
from kfgraph.cli.commands import COMMANDS
from kfgraph.cli.declared import Option, gathered, option_name, parameters
from kfgraph.cli.options import Linking, Reading

RUN = {command.name: importlib.import_module(command.module).run for command in COMMANDS}
PLAIN = (
    "trace ls",
    "trace -q --no-returns -o A.dat -- perl child.pl -o B.dat",
    "trace -o t.dat -f insmod foo.ko fail=19 -- -x",
    "trace --root=vfs_open --root vfs_read --exclude= --only :mod:foo true",
    "trace --args --no-retval true",
    "trace --no-args --args true",
    "trace -p 1 -p 2 --duration 2.5 --max-depth 3",
    "trace --output -o.dat --buffer=4M --env A=B=C --user nobody -- -strange-command",
    "trace --guest-kernel list",
    "trace -",
    "trace --",
    "trace",
    "show",
    "show t.dat",
    "show -",
    "show -- -t.dat",
    "show --root load_module t.dat --min 1% --no-irq -a --depth=2",
    "show --from 0.5 --to 1ms --cpu 0 --cpu 1 --pid 7 --task 'a b' --task=b --all-tasks --pre-exec t.dat",
    "show -e 'sys_*' --event sched_switch --hide kfree --hide kmalloc --json --strict --module a.ko --module b.ko",
    "show --slowest 3 --nth -1",
    "top --by total --group=module --limit 0 --csv t.dat",
    "top t.dat --by self --paths 1 --paths 2",
    "top --source a --source=b --debuginfo v --link 'http://x/{function}' --no-links t.dat",
    "errors --ret ENOENT --ret=-22 --of foo --unsure --cpu 3 --no-irq t.dat",
    "syscalls -e openat --name read -c --failed --slowest 2 --pid 1 t.dat",
    "why t.dat --all --ret EINVAL --text --guest --root f --task insmod",
    "info -v t.dat --reader report --buffer-name ''",
    "doctor --fix --json",
)
OTHERS = (
    "trace -h",
    "trace --help",
    "trace -qf true",
    "trace -oA.dat true",
    "trace --nosuch true",
    "trace --quiet=yes true",
    "trace -o",
    "trace -p one",
    "trace --max-depth 1.5 true",
    "trace --root",
    "show --help",
    "show t.dat -h",
    "show t.dat u.dat",
    "show --min",
    "show --depth -1",
    "show --depth=x t.dat",
    "show --no-irq=1",
    "show --from later",
    "show --roo f",
    "top --by name",
    "top --by=",
    "top --limit -1",
    "syscalls --slowest 0",
    "syscalls --cpu 0",
    "doctor t.dat",
)


class Stopped(Exception):
    """Instead of running the command."""


def less_defaults(run: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    defaults = {one.name: one.default for one in parameters(run)}
    return {k: v for k, v in arguments.items() if v not in ([], defaults.get(k, {}))}


def with_typer(monkeypatch: pytest.MonkeyPatch, command: str, words: list[str]) -> dict[str, Any] | None:
    """What typer calls the command with, less what is not given; None if it calls nothing."""
    calls = []

    def record(run: Callable[..., Any], given: dict[str, Any]) -> None:
        calls.append(less_defaults(run, gathered(run, given)))
        raise Stopped

    monkeypatch.setattr(typed, "gathered", record)
    try:
        typed.run([command, *words])
    except Exception:
        return calls[0] if calls else None
    return None


@pytest.mark.parametrize("line", PLAIN)
def test_a_plain_line_means_what_typer_says(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    command, *words = shlex.split(line)
    found = fastparse.parse(RUN[command], words)
    assert found is not None
    assert less_defaults(RUN[command], found) == with_typer(monkeypatch, command, words)


@pytest.mark.parametrize("line", OTHERS)
def test_what_is_not_plain_is_left_to_typer(line: str) -> None:
    command, *words = shlex.split(line)
    assert fastparse.parse(RUN[command], words) is None


def test_what_a_plain_line_says_is_what_run_gets() -> None:
    words = shlex.split("--cpu 1 --limit 7 t.dat --cpu 0 --from 500ms --no-irq --by max")
    assert fastparse.parse(RUN["top"], words) == {
        "trace": "t.dat", "limit": 7, "by": "max", "filters": {"cpu": [1, 0], "from_s": 0.5, "no_irq": True},
        "linking": Linking(), "reading": Reading(),
    }  # fmt: skip
    assert fastparse.parse(RUN["why"], []) == {"filters": {}, "linking": Linking(), "reading": Reading()}
    assert fastparse.parse(RUN["info"], ["-q", "--btf", "a", "--btf=b", "--reader", "report"]) == {
        "reading": Reading(quiet=True, btf=["a", "b"], reader="report")
    }


@pytest.mark.parametrize("command", RUN)
def test_every_option_is_understood_by_both(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RUN[command]
    values = {int: "7", float: "7", bool: None}
    nothing = dict.fromkeys(one.name for one in parameters(run))
    for one in parameters(run):
        if not isinstance(one.declared, Option):
            continue
        for name in one.declared.names:
            of_words = get_args(one.kind)[-1:]  # one of several words, checked as the line is read
            name, value = name.partition("/")[0], values.get(one.kind, *(of_words or ("module",)))
            words = [name, *([value] if value else []), *(["true"] if command == "trace" else [])]
            found = fastparse.parse(run, words)
            assert found is not None, words
            assert one.value({**nothing, **found}) not in (one.default, []), words
            assert less_defaults(run, found) == with_typer(monkeypatch, command, words)


def test_every_parameter_of_a_command_is_declared() -> None:
    for command in COMMANDS:
        names = {one.group or one.name for one in parameters(RUN[command.name])}
        extra = {"command"} if command.takes_command else set()
        assert names | extra == set(inspect.signature(RUN[command.name]).parameters)


READING = {
    "show": None, "top": None, "errors": filters.OF_ERRORS, "syscalls": filters.OF_SYSTEM_CALLS, "why": filters.OF_WHY,
}  # fmt: skip


@pytest.mark.parametrize("command", READING)
def test_a_reading_command_has_the_filters_by_their_one_declaration(command: str) -> None:
    run = RUN[command]
    have = {one.name: one for one in parameters(run) if one.group == "filters"}
    assert tuple(have) == (READING[command] or tuple(filters.declared()))
    for name, one in have.items():
        declared = filters.declared()[name]
        assert (one.group, one.kind, one.many) == ("filters", declared.kind, declared.many)
        assert isinstance(one.declared, Option)
        assert one.declared[:2] == ((declared.filter.option,), declared.filter.help)
        assert option_name(run, name) == declared.filter.option
    # What it has not may be an option of its own: --ret of errors, --failed of syscalls.
    options = {filters.declared()[name].filter.option for name in have}
    others = {name for one in parameters(run) if one.name not in have for name in getattr(one.declared, "names", ())}
    assert options & others == set()


WITHOUT = {"trace", "doctor"}
"""The commands that read no trace."""


@pytest.mark.parametrize("command", [name for name in RUN if name not in WITHOUT])
def test_how_a_trace_is_read_is_declared_once(command: str) -> None:
    run = RUN[command]
    have = {one.name: one for one in parameters(run) if one.group == "reading"}
    # The explorer shows what is wrong and ends as the user wants.
    assert tuple(have) == tuple(name for name in Reading._fields if (command, name) != ("ui", "strict"))
    shared = {one.name: one for one in parameters(RUN["info"]) if one.group == "reading"}
    # errors takes the name of a module there too.
    assert {name for name, one in have.items() if one != shared[name]} == ({"module"} if command == "errors" else set())
    own = {name for one in parameters(run) if not one.group for name in getattr(one.declared, "names", ())}
    assert own & {"--strict", "--reader", "--buffer-name", "--module", "--btf", "--quiet", "-q"} == set()
