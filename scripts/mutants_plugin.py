"""pytest plugin of scripts/mutants.py: says which test runs what, and runs the tests that a mutant needs.

``MUTANTS_LEARN=FILE``: coverage's context is the test that runs (in a fixture of several: their file or folder);
FILE gets the tests that passed, with their seconds. ``MUTANTS_RUN=FILE``: the tests in FILE, in its order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

EXAMPLES = 40
PHASES = (Phase.explicit, Phase.generate)
LEARN = os.environ.get("MUTANTS_LEARN")
RUN = os.environ.get("MUTANTS_RUN")
seconds: dict[str, float] = {}
failed: set[str] = set()


def _now_runs(name: str) -> None:
    """For coverage in this process, and in those that it starts (``context`` of its configuration)."""
    if LEARN:
        import coverage

        os.environ["MUTANTS_TEST"] = name
        measured = coverage.Coverage.current()
        assert measured is not None
        measured.switch_context(name)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, None]:
    """A test is the context."""
    _now_runs(item.nodeid)
    yield
    _now_runs("")


@pytest.hookimpl(hookwrapper=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Generator[None, Any, None]:
    """What a fixture of several tests runs, all of them do."""
    before = os.environ.get("MUTANTS_TEST", "")
    if fixturedef.scope != "function":
        _now_runs(fixturedef.baseid if fixturedef.scope != "session" else request.node.nodeid)
    yield
    _now_runs(before)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Seconds, and whether it passed."""
    seconds[report.nodeid] = seconds.get(report.nodeid, 0.0) + report.duration
    if report.outcome != "passed":
        failed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Says so."""
    if LEARN:
        Path(LEARN).write_text(json.dumps({name: took for name, took in seconds.items() if name not in failed}))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that are wanted, in their order; properties with few examples, and none made shorter when it fails."""
    for item in items:
        function = getattr(item, "obj", None)
        if before := getattr(function, "_hypothesis_internal_use_settings", None):
            few = settings(before, max_examples=min(before.max_examples, EXAMPLES), phases=PHASES, database=None)
            function._hypothesis_internal_use_settings = few
    if RUN:
        order = {name: n for n, name in enumerate(json.loads(Path(RUN).read_text()))}
        items[:] = sorted((item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid])
