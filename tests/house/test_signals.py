"""The suite runs the same under a parent that ignores signals: ``make test &`` in a script, nohup, a CI runner."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PROGRAM = """
import json, signal, subprocess, sys
sys.path.insert(0, sys.argv[1])
if sys.argv[2] == "heed":
    import conftest
    conftest.heed_signals()
status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout
# From 32 on they are the C library's own, which posix_spawn (make's, too) may leave ignored.
own = 0x7FFFFFFF
masks = {x[:6]: int(x.split()[1], 16) & own for x in status.splitlines() if x.startswith(("SigIgn", "SigBlk"))}
print(json.dumps([masks["SigIgn"], masks["SigBlk"], signal.getsignal(signal.SIGINT) is signal.default_int_handler]))
"""
USUAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM)


def start(*, heed: bool) -> list[object]:
    def ignore() -> None:
        for number in USUAL:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGINT})

    argv = [sys.executable, "-c", PROGRAM, str(TESTS), "heed" if heed else "leave"]
    done = subprocess.run(argv, capture_output=True, text=True, preexec_fn=ignore, check=True)
    return list(json.loads(done.stdout))


def test_the_suite_gives_what_it_starts_the_usual_signals() -> None:
    ignored = sum(1 << (number - 1) for number in USUAL)
    blocked = 1 << (signal.SIGUSR1 - 1) | 1 << (signal.SIGINT - 1)
    assert start(heed=False) == [ignored, blocked, False]
    assert start(heed=True) == [0, 0, True]


def test_it_has_them_itself(request: pytest.FixtureRequest) -> None:
    assert request.config.pluginmanager.has_plugin(str(TESTS / "conftest.py"))
    assert {number for number in USUAL if signal.getsignal(number) is signal.SIG_IGN} == set()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
