"""Damaged files: a Trace that holds together, or an InputError that names the file; nothing else ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import recorded
from described import described
from fuzz import inputs
from kfgraph.kernel.btf import Btf
from kfgraph.parse.tracedat.kallsyms import Kallsyms

CORPUS = Path(__file__).resolve().parent.parent / "fixtures" / "fuzz"
SEEDS = inputs.seeds()
FLIPPED, CUT = 11, 67  # no divisors of what the format aligns
WHOLE = ("file-0-v6-none", "file-1-v7-none", "file-2-v7-zlib", "file-3-v7-zstd")


def outcome(data: bytes, path: Path) -> str:
    path.write_bytes(data)
    return inputs.outcome(path)


def test_the_corpus_is_replayed(tmp_path: Path) -> None:
    files = sorted(CORPUS.iterdir())
    assert {file.name for file in files} >= set(SEEDS)
    outcomes = {file.name: outcome(inputs.file_of(file.read_bytes()), tmp_path / "t.dat") for file in files}
    assert {outcomes[name] for name in SEEDS} == {"trace"}


@pytest.mark.parametrize("name", WHOLE)
def test_every_region_damaged(name: str, tmp_path: Path) -> None:
    """A byte flipped, a piece cut out or doubled, at places all over the file: what is read of it is recorded."""
    whole = SEEDS[name][1:]

    def damaged() -> Iterator[tuple[str, bytes]]:
        for at in range(0, len(whole) - 1, FLIPPED):
            yield f"{at} flipped", whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
            yield f"{at + 1} one more", whole[: at + 1] + bytes([(whole[at + 1] + 1) & 0xFF]) + whole[at + 2 :]
        for at in range(0, len(whole), CUT):
            yield f"{at} the end", whole[:at]
            yield f"{at} out", whole[:at] + whole[at + 16 :]
            yield f"{at} twice", whole[: at + 16] + whole[at:]

    def everything() -> Iterator[str]:
        path = tmp_path / "t.dat"
        seen: dict[str, str] = {}
        for what, data in damaged():
            path.write_bytes(data)
            trace = inputs.trace_of(path)
            said = "refused" if trace is None else described(trace)
            yield f"{what}: {seen.get(said, recorded.digest(said) if seen else said)}"
            seen.setdefault(said, f"as {what}")
        assert len(seen) > 50 and "refused" in seen

    recorded.compare(f"damage-{name}", everything())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(SEEDS)),
    changes=st.lists(
        st.tuples(st.integers(1, 6_000), st.sampled_from([1, 2, 4, 8]), st.binary(min_size=8, max_size=8)), max_size=6
    ),
)
def test_numbers_replaced_by_others(name: str, changes: list[tuple[int, int, bytes]], tmp_path: Path) -> None:
    data = bytearray(SEEDS[name])
    for at, size, value in changes:
        if at + size <= len(data):
            data[at : at + size] = value[:size]
    outcome(inputs.file_of(bytes(data)), tmp_path / "t.dat")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400) | st.text("0123456789abcdef tTdD[]\t\n", max_size=400).map(str.encode))
def test_any_kallsyms(text: bytes) -> None:
    import numpy as np

    addresses = np.array([0, 5, 0xFFFFFFFF81000000, (1 << 64) - 1], np.uint64)
    found = Kallsyms(text).resolve(addresses)
    assert len(found) == 4
    for address, symbol in zip(addresses.tolist(), found, strict=True):
        assert symbol is None or symbol.start <= address


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_btf(data: bytes) -> None:
    header = b"\x9f\xeb\x01\0" + (24).to_bytes(4, "little")
    half = len(data) // 2
    sizes = (0, half, half, len(data) - half)
    whole = header + b"".join(n.to_bytes(4, "little") for n in sizes) + data
    btf = Btf(whole)
    for name in btf._functions:
        btf.prototype(name.decode("utf-8", "replace"))
    with pytest.raises(ValueError, match="BTF"):
        Btf(whole[:20])
