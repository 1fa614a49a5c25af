"""Small inputs of every reader with several changes each: what they are read as is recorded."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

import recorded
from described import codes, described
from fuzz import corpus, fuzz_readers, mutate
from kfgraph.errors import KfgraphError
from kfgraph.parse import load

PARTS = corpus.corpus()
N_INPUTS = 160


def outcome(file: Path) -> str:
    """The error; or the reader, the notices, a sum of the calls, and one of the rest."""
    try:
        trace = load(file)
    except KfgraphError as error:
        return f"{type(error).__name__} {error.exit_code} {error.message.replace(str(file), '')[:80]}"
    rows, _, rest = described(trace).replace(str(file), "").partition(" | ")
    more = [str(trace.companion), *(one.text.replace(str(file), "") for one in trace.notices)]
    return f"{trace.meta.reader} {codes(trace)} {recorded.digest(rows)} {recorded.digest(rest, more)}"


@pytest.mark.parametrize("nth", range(5))
def test_what_is_read_of_changed_inputs(nth: int, tmp_path: Path) -> None:
    def everything() -> Iterator[str]:
        for number in range(nth * N_INPUTS, (nth + 1) * N_INPUTS):
            given = mutate.made(random.Random(number), PARTS)
            file = fuzz_readers.keep(tmp_path, f"{number}", given)
            said = outcome(file).replace("\n", " ")
            assert "bug:" not in said
            yield f"{number} {said}"

    recorded.compare(f"changed-{nth}", everything())
