#!/usr/bin/env python3
"""Writes the tables of docs/notices.md from the table in kfgraph.errors: ``make notices``."""

from __future__ import annotations

import re
from pathlib import Path

from kfgraph.errors import NOTICES, SEVERITIES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "notices.md"
_TABLES = re.compile(r"(?<=<!-- begin: make notices -->\n).*(?=<!-- end -->)", re.DOTALL)


def tables() -> str:
    """One table per severity, in the order of ``NOTICES``."""
    lines = []
    for severity, meaning in SEVERITIES.items():
        lines += ["", f"## {severity.capitalize()}", "", f"{meaning[0].upper()}{meaning[1:]}.", ""]
        lines += ["| code | text for one; for several | hint |", "|---|---|---|"]
        for key, kind in NOTICES.items():
            if kind.severity == severity:
                said = f"1 {kind.one}; N {kind.many}" if kind.one else kind.many
                hint = f"`{kind.hint}`" if kind.hint.startswith(("--", "echo ")) else kind.hint
                lines.append(f"| `{key.partition(':')[0]}` | {said} | {hint} |")
    return "\n".join([*lines, "", ""])


def filled(page: str) -> str:
    """The page with current tables."""
    return _TABLES.sub(lambda _: tables(), page)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
