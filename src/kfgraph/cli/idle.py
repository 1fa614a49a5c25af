"""Options that do nothing beside others: declared once for each command, said behind its output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, get_args, get_type_hints

from kfgraph.cli.saying import say
from kfgraph.errors import Notice, notice


class Idle(NamedTuple):
    """Beside ``beside``, these ``options`` do nothing (parameters of the command), ``unless`` one of those is given."""

    beside: str
    options: Sequence[str]
    unless: Sequence[str] = ()


def without_effect(run: Callable[..., Any], given: Mapping[str, Any]) -> list[Notice]:
    """A notice for each rule in the ``IDLE`` of ``run``'s module that what was ``given`` falls under.

    ``given`` holds the values of ``run``'s parameters, as ``locals()`` does in its first line. An option counts as
    given where it has not the default's value.
    """
    rules: Sequence[Idle] = run.__globals__.get("IDLE", ())
    n_parameters = run.__code__.co_argcount
    names = run.__code__.co_varnames[:n_parameters]
    default = dict(zip(names[n_parameters - len(run.__defaults__ or ()) :], run.__defaults__ or (), strict=True))
    wanted = {name for name, value in default.items() if given[name] != value and given[name] != []}
    notices = []
    said: set[str] = set()
    for rule in rules:
        idle = [name for name in rule.options if name in wanted and name not in said]
        if idle and rule.beside in wanted and not wanted.intersection(rule.unless):
            said.update(idle)
            options = ", ".join(option_name(run, name) for name in idle)
            verb = "does" if len(idle) == 1 else "do"
            beside = option_name(run, rule.beside)
            notices.append(notice("no-effect", options=options, verb=verb, beside=beside))
    return notices


def tell_idle(run: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Say it at once, for a command whose own output is none of ours."""
    if idle := without_effect(run, given):
        say("; ".join(one.text for one in idle))


def option_name(run: Callable[..., Any], parameter: str) -> str:
    """The long name of the option that fills a parameter."""
    declared = get_args(get_type_hints(run, include_extras=True)[parameter])[1]
    # typer takes the first name for a default value until it builds the command.
    names: Sequence[str] = getattr(declared, "names", None) or (declared.default, *declared.param_decls)
    return next((name for name in names if name.startswith("--")), names[0]).partition("/")[0]
