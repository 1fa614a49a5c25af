"""The doctor's report for people: one block for each way to trace, a remedy under what needs one."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from kfgraph.model import health
from kfgraph.model.health import Check, Report
from kfgraph.render.wrapping import hanging, wrapped

_STYLES = {health.OK: "green", health.LIMITED: "yellow", health.MISSING: "bold red", health.UNKNOWN: "dim"}
_BLOCKS = (
    ("Recording, here or in a guest", health.BOTH),
    ("This kernel", health.NATIVE),
    ("A guest (kfgraph trace --guest)", health.GUEST),
    ("Reading traces", health.READER),
)


class DoctorView:
    """Renderable of a report."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Blocks, then what to type."""
        width = options.max_width
        for title, area in _BLOCKS:
            checks = [check for check in self._report.checks if check.area == area]
            if checks:
                yield Text(title, style="bold")
                yield from _lines(checks, width)
                yield Text("")
        for sentence in self._verdict():
            first, *rest = wrapped(sentence, width - 2, commands=True)
            for line in (first, *(f"  {line}" for line in rest)):
                yield Text(line, no_wrap=True, overflow="ignore")

    def _verdict(self) -> Iterator[str]:
        report = self._report
        for area, words, command in (
            (health.NATIVE, "this kernel", "kfgraph trace -- COMMAND"),
            (health.GUEST, "in a guest", "kfgraph trace --guest -- COMMAND"),
        ):
            obstacle = report.first_obstacle(area)
            if obstacle is None:
                yield f"Tracing {words} works: {command}"
            else:
                yield f"Tracing {words} does not work: {obstacle.name}: {obstacle.found}"


def _lines(checks: list[Check], width: int) -> Iterator[Text]:
    state_width = max(len(check.state) for check in checks)
    name_width = max(len(check.name) for check in checks)
    for check in checks:
        head = [
            Text(f"  {check.state:<{state_width}}  ", style=_STYLES[check.state]),
            Text(f"{check.name:<{name_width}}  "),
        ]
        sentences = [(check.found, "")] + ([(f"-> {check.remedy}", "bold")] if check.remedy else [])
        yield from hanging(head, sentences, width=width, below=4)
