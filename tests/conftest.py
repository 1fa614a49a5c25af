"""What all tests share: where the real traces are, and what a skip means.

A test skips when this machine lacks something (a program, root, a kernel) and says what. With
``KFGRAPH_REQUIRE_ALL=1`` (``.ci/run``) such a skip is a failure: CI installs all there is to install.
Only a reason that begins with ``extra:`` stays a skip there.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
REQUIRE_ALL = os.environ.get("KFGRAPH_REQUIRE_ALL") == "1"
THOROUGH = os.environ.get("KFGRAPH_THOROUGH") == "1"

LONGEST = (
    # Guests, minutes each where there is no KVM; beside them what waits more than it computes.
    "guest/test_trace_native.py", "guest/test_trace_troubles.py", "capture/test_trace_run.py",
    "capture/test_trace_signals.py", "capture/test_guest.py", "programs/test_programs.py", "html/test_browser.py",
    "ui/test_explorer.py", "ui/test_recorded_screens.py",
    "guest/test_failing_modules.py", "guest/test_trace_in_guest.py", "guest/test_guest.py",
    # Ten seconds and more.
    "why/test_variants.py", "contract/test_exporters.py", "tracedat/test_damage.py", "house/test_structure.py",
    "show/test_loops.py", "show/test_fold.py", "parse/test_scan.py", "contract/test_pieces.py", "why/test_corpus.py",
    "api/test_times.py", "capture/test_trace_failures.py", "contract/test_readers.py", "tracedat/test_bounds.py",
)  # fmt: skip


def pytest_configure() -> None:
    heed_signals()


def pytest_make_parametrize_id(val: object) -> str | None:
    """A file of the checkout as it is called in it: a test has one name wherever the checkout is."""
    inside = isinstance(val, (str, Path)) and str(val).startswith(f"{REPOSITORY}/")
    return str(Path(str(val)).relative_to(REPOSITORY)) if inside else None


def heed_signals() -> None:
    """Signals as a shell in the foreground gives them to what it starts: none is ignored, none is held back.

    ``make test &`` in a script, nohup and some CI runners ignore SIGINT, SIGQUIT or SIGHUP, and what the tests start
    would inherit it.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD, signal.SIGTSTP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_traces() -> Path:
    """The folder of large real traces beside the repository, where there is one."""
    folder = REPOSITORY.parent / "shared" / "traces"
    if not folder.is_dir():
        pytest.skip("extra: no ../shared/traces beside the repository")
    return folder


@pytest.fixture(scope="session")
def large_traces(shared_traces: Path) -> Path:
    """The same folder, for tests that repeat on whole recordings what others do with small ones of the same kinds."""
    if not THOROUGH:
        pytest.skip("extra: KFGRAPH_THOROUGH=1 compares the large real traces too")
    return shared_traces


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], str]:
    """``program(name, debian_package)``: the path of a program, or a skip that says how to get it."""

    def find(name: str, package: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"no {name} here: apt-get install {package}")
        return path

    return find


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, in this order: what is short fills up what is left at the end."""
    n_last = len(LONGEST)
    place = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(f"{item.path.parent.name}/{item.path.name}", n_last))


def _no_skip(report: Any) -> None:
    if not (REQUIRE_ALL and report.skipped and isinstance(report.longrepr, tuple)):
        return
    reason = report.longrepr[2].removeprefix("Skipped: ")
    if not reason.startswith("extra:"):
        report.outcome = "failed"
        report.longrepr = f"skipped where KFGRAPH_REQUIRE_ALL=1 allows no skip: {reason}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    outcome = yield
    _no_skip(outcome.get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, None]:
    outcome = yield
    _no_skip(outcome.get_result())
