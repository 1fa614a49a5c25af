"""Small texts of every kind with a letter changed, or a line left out, doubled or moved: what they are read as is
recorded."""

from __future__ import annotations

import io
from collections.abc import Iterator

import recorded
from described import described
from kfgraph.errors import KfgraphError
from kfgraph.parse import load
from reference.cases import FIXTURES, unpack

SMALL = FIXTURES.parent
LETTERS = b" |-(:/9xs}\t\0"
N_LETTERS, N_LINES = 30, 10


def texts() -> Iterator[tuple[str, bytes]]:
    """The small cases whole, of the real recordings the first lines."""
    for folder in ("cases", "fuzz-readers"):
        for file in sorted((SMALL / folder).glob("*.txt")):
            yield file.name, file.read_bytes()
    for file in sorted(FIXTURES.glob("[67]*.xz")):
        yield file.name, b"".join(unpack(file).splitlines(keepends=True)[:24])


def changed(text: bytes) -> Iterator[tuple[str, bytes]]:
    """The text, and small changes of it spread over all of it."""
    yield "as it is", text
    step = max(len(text) // N_LETTERS, 1)
    for k, at in enumerate(range(0, len(text), step)):
        letter = LETTERS[k % len(LETTERS) : k % len(LETTERS) + 1]
        yield f"{at} {letter!r}", text[:at] + letter + text[at + 1 :]
    lines = text.splitlines(keepends=True)
    for at in range(0, len(lines), max(len(lines) // N_LINES, 1)):
        head, one, tail = lines[:at], lines[at], lines[at + 1 :]
        yield f"no line {at}", b"".join([*head, *tail])
        yield f"line {at} twice", b"".join([*head, one, one, *tail])
        yield f"line {at} later", b"".join([*head, *tail[:1], one, *tail[1:]])


def outcome(data: bytes) -> str:
    try:
        trace = load(io.BytesIO(data))
    except KfgraphError as error:
        return f"{type(error).__name__}: {error.exit_code}"
    trace.check()
    return described(trace)


def test_small_changes_of_texts() -> None:
    def everything() -> Iterator[str]:
        for name, text in texts():
            seen: dict[str, str] = {}
            for what, data in changed(text):
                said = outcome(data)
                # Of what a change makes of it a sum is enough: it is one text that is looked at, and it is small.
                yield f"{name}: {what}: {seen.get(said, recorded.digest(said) if seen else said)}"
                seen.setdefault(said, f"as {what}")

    recorded.compare("texts", everything())
