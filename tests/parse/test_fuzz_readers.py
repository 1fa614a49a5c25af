"""Mutated inputs of every reader: a trace that holds together, or an error that is told; nothing else ever.

Two million are run by hand (docs/formats.md); here what was found, and a few hundred of every kind.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from fuzz import corpus, fuzz_readers, mutate
from kfgraph.errors import InputError
from kfgraph.model.calls import CallTable
from kfgraph.parse import READERS, load

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
PARTS = corpus.corpus()


@pytest.mark.parametrize("file", sorted((FIXTURES / "fuzz-readers").glob("*.txt")), ids=lambda file: file.stem)
def test_what_was_found_stays_mended(file: Path) -> None:
    assert fuzz_readers.run(file) == ("trace", "")
    assert {notice.code for notice in load(file).notices} >= {"contradiction"}


def test_what_is_mutated_is_read_and_is_of_every_reader(tmp_path: Path) -> None:
    readers = Counter()
    refused = []
    for number, part in enumerate(PARTS):
        file = fuzz_readers.keep(tmp_path, f"part-{number}", part.whole)
        assert fuzz_readers.run(file)[1] == "", part.name
        try:
            trace = load(file)
        except InputError:
            refused.append(part.name)
            continue
        readers[trace.meta.reader] += len(trace.calls) > 0
        assert (trace.companion is not None) == (part.whole.companion is not None)
    assert set(readers) == {reader.name for reader in READERS}
    assert min(readers.values()) >= 10
    # Texts of other tracers, and what this version refuses.
    assert len(refused) < len(PARTS) // 8, refused


def test_some_hundreds_of_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_readers.hunt(1_000, 1_600, tmp_path) == 0
    told = capsys.readouterr().out
    assert told.startswith("600 inputs in ")
    assert "'InputError'" in told and "'trace'" in told
    assert list(tmp_path.iterdir()) == []


def test_a_seed_is_an_input(tmp_path: Path) -> None:
    made = [mutate.made(random.Random(seed), PARTS) for seed in range(300)]
    assert made == [mutate.made(random.Random(seed), PARTS) for seed in range(300)]
    assert len({given.data for given in made if given.companion is None}) > 250
    assert {given.is_text for given in made} == {True, False}
    assert any(given.companion for given in made)


def test_a_fault_is_told_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(calls: CallTable) -> None:
        if len(calls) >= 8:
            raise AssertionError("too many rows")

    monkeypatch.setattr(CallTable, "check", check)
    assert fuzz_readers.hunt(0, 60, tmp_path) > 0
    assert "AssertionError: too many rows" in capsys.readouterr().out
    kept = sorted(file for file in tmp_path.iterdir() if file.suffix != ".json")
    assert len(kept) == 5
    result, problem = fuzz_readers.run(kept[0])
    assert (result, problem[:29]) == ("FAULT", "AssertionError: too many rows")
    assert 8 <= len(fuzz_readers.shrink(kept[0]).data.splitlines()) <= 40
