"""Rows of plain values as comma-separated values (RFC 4180, lines end in LF)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from kfgraph.model.spelling import spelt_out

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], stream: TextIO) -> None:
    """A head line and one line per row; None, which is unknown, is an empty cell. Numbers are written as they are.

    See :func:`cell` for texts.
    """
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(value) if isinstance(value, str) else value for value in map(row.get, columns)])


def cell(text: str) -> str:
    """A text as a cell that no spreadsheet takes for a formula.

    An apostrophe is put before one that begins, blanks aside, as a formula does (OWASP, "CSV Injection"), and before
    one that begins with an apostrophe: to have a text back, take one apostrophe off its beginning. What is not
    printable is spelt out.
    """
    begins = text.lstrip(" ")
    return ("'" if begins.startswith(_FORMULA) or text.startswith("'") else "") + spelt_out(text)
