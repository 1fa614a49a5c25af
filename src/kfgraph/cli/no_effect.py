"""Options that do nothing beside others: declared once for each command, said behind its output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kfgraph.cli.declared import option_name, parameters
from kfgraph.cli.messages import say
from kfgraph.errors import Notice, notice


class Idle(NamedTuple):
    """Beside ``beside``, these ``options`` (parameters, filters) do nothing, ``unless`` one of those is given.
    ``values``: only where ``beside`` is one of these."""

    beside: str
    options: Sequence[str]
    unless: Sequence[str] = ()
    values: Sequence[str] = ()


def without_effect(run: Callable[..., Any], given: Mapping[str, Any]) -> list[Notice]:
    """A notice for each rule in the ``IDLE`` of ``run``'s module that what was ``given`` falls under.

    ``given`` holds the values of ``run``'s parameters, as ``locals()`` does in its first line. An option counts as
    given where it has not the default's value.
    """
    rules: Sequence[Idle] = run.__globals__.get("IDLE", ())
    values = {one.name: one.value(given) for one in parameters(run)}
    wanted = {one.name for one in parameters(run) if values[one.name] not in (one.default, [])}
    notices = []
    said: set[str] = set()
    for rule in rules:
        idle = [name for name in rule.options if name in wanted and name not in said]
        fits = rule.beside in wanted and (not rule.values or values[rule.beside] in rule.values)
        if idle and fits and not wanted.intersection(rule.unless):
            said.update(idle)
            options = ", ".join(option_name(run, name) for name in idle)
            verb = "does" if len(idle) == 1 else "do"
            beside = f"{option_name(run, rule.beside)} {values[rule.beside] if rule.values else ''}".rstrip()
            notices.append(notice("no-effect", options=options, verb=verb, beside=beside))
    return notices


def tell_idle(run: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Say it at once, for a command whose own output is none of ours."""
    if idle := without_effect(run, given):
        say("; ".join(one.text for one in idle))
