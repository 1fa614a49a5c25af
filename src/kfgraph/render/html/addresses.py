"""Where the sources of functions are, as a page or a drawing stores it. ``app/links.mjs`` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import commonprefix
from typing import Any

from kfgraph.analyze.sourcelinks import SourceLinks
from kfgraph.model.spelling import spelt_out


def addresses(links: SourceLinks | None, labels: Sequence[str]) -> list[Any]:
    """[what all addresses begin with, the rest of each function's address (0: it has none; 1: it is its name)]."""
    if links is None:
        return []
    links.look_for(label for label in labels if label)
    urls = [links.of(label) if label else "" for label in labels]
    begin = commonprefix([url for url in urls if url])  # noqa: RUF071 (by letters, not by folders)
    rest = [url[len(begin) :] if url else None for url in urls]
    named = zip(rest, labels, strict=True)
    return [begin, [0 if more is None else 1 if more == spelt_out(label) else more for more, label in named]]
