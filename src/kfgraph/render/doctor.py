"""The doctor's report for people: one block for each way to trace, a remedy under what needs one."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kfgraph.model import health
from kfgraph.model.health import Check, Report

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
        for title, area in _BLOCKS:
            checks = [check for check in self._report.checks if check.area == area]
            if checks:
                yield Text(title, style="bold")
                yield Padding(_table(checks), (0, 0, 1, 2), expand=False)
        yield from self._verdict()

    def _verdict(self) -> Iterator[RenderableType]:
        report = self._report
        for area, words, command in (
            (health.NATIVE, "this kernel", "kfgraph trace -- COMMAND"),
            (health.GUEST, "in a guest", "kfgraph trace --guest -- COMMAND"),
        ):
            obstacle = report.first_obstacle(area)
            if obstacle is None:
                yield Text(f"Tracing {words} works: {command}")
            else:
                yield Text(f"Tracing {words} does not work: {obstacle.name}: {obstacle.found}")


def _table(checks: list[Check]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        table.add_row(Text(check.state, style=_STYLES[check.state]), Text(check.name), Text(check.found))
        if check.remedy:
            table.add_row("", "", Text(f"-> {check.remedy}", style="bold"))
    return table
