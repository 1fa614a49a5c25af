"""The edges of the process: Ctrl-C at any moment, output that goes nowhere, memory that is not there."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder.tables import call, trace_of
from builder.text import report_text
from builder.tracedat import dat_of
from running import kfgraph

# As pip's script calls it.
SCRIPT = "import sys; from kfgraph.__main__ import entry_point; sys.exit(entry_point())"
# The same, with SIGINT (or what ARG names) at the nth import behind the first line of ours.
AT_IMPORT = """
import os, sys, _signal
n = int(sys.argv.pop(1))
from kfgraph.__main__ import entry_point
def hook(event, arguments):
    global n
    if event == "import":
        n -= 1
        if n == 0:
            os.kill(os.getpid(), _signal.SIGINT)
sys.addaudithook(hook)
sys.exit(entry_point())
"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("edges") / "t.dat"
    path.write_bytes(dat_of(trace_of([call("f", 1_000, *[call("g", 2_000)] * 50)])))
    return str(path)


@pytest.fixture
def heeded():
    """Python's handler, whatever the parent of this suite ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("command", "places"),
    # What a command imports first and last of all, the others share.
    [
        ("show", (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610)),
        ("top", (5, 144, 233)),
        ("info", (5, 144, 233)),
    ],
)
def test_ctrl_c_during_any_import_says_nothing_and_is_130(command, places, trace, heeded) -> None:
    seen = set()
    for n in places:
        done = subprocess.run(
            [sys.executable, "-c", AT_IMPORT, str(n), command, trace], capture_output=True, text=True, timeout=60
        )
        assert done.stderr == "", n
        seen.add(done.returncode)
        if done.returncode == 0:  # there were fewer imports
            assert n > 100
    assert seen <= {130, 0} and 130 in seen


def test_ctrl_c_in_the_first_moments(trace, heeded) -> None:
    """Before the first line of kfgraph runs, Python answers; from then on nothing is said."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", SCRIPT, "show", trace], capture_output=True, check=True)
    whole = time.monotonic() - begin
    ours = 0
    for i in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", SCRIPT, "show", trace], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            try:
                child.wait(i * whole / 12)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGINT)
            _, said = child.communicate(timeout=60)
        frames = set(re.findall(r"kfgraph/\S+\.py", said))
        if "Traceback" in said and frames <= {"kfgraph/__init__.py", "kfgraph/__main__.py"}:
            assert "entry_point" not in said
            continue  # in site, or in the search for kfgraph
        assert said == "" and child.returncode in (130, 0, -signal.SIGINT)
        ours += child.returncode == 130
    assert ours >= 1


# Ctrl-C within a finalizer, n of them in a row, and then a long wait in place of the command.
IN_FINALIZER = """
import os, sys, _signal, time
n, nested = int(sys.argv.pop(1)), int(sys.argv.pop(1))
from kfgraph.__main__ import entry_point
import kfgraph.cli.app as app
class Left:
    def __del__(self):
        os.kill(os.getpid(), _signal.SIGINT)
        for _ in range(100): pass
def run(argv):
    if nested:
        again = app._interrupt_again
        def interrupt_again(number):  # another Ctrl-C while the first is being answered
            again(number)
            if len(app._interrupts) < 2:
                os.kill(os.getpid(), _signal.SIGINT)
                for _ in range(100): pass
        app._interrupt_again = interrupt_again
    for _ in range(n):
        Left()
    time.sleep(30)
    return 0
app._run = run
sys.exit(entry_point())
"""


@pytest.mark.parametrize("nested", [0, 1])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_ctrl_c_in_a_finalizer_ends_the_command_all_the_same(n, nested, heeded) -> None:
    """Python tells nobody what a finalizer raises; the handler's exception in that hook would be printed."""
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", IN_FINALIZER, str(n), str(nested)], capture_output=True, text=True, timeout=20
        )
        assert (done.returncode, done.stderr) == (130, "")


def test_where_ctrl_c_is_ignored_it_stays_so(trace) -> None:
    ignoring = "import os, sys, _signal; _signal.signal(2, _signal.SIG_IGN)"
    command = [sys.executable, "-c", AT_IMPORT.replace("import os, sys, _signal", ignoring), "8", "show", trace]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and "f" in done.stdout


def test_the_first_line_of_ours_imports_nothing_slow() -> None:
    # What is part of Python itself, as gc is, is no file to be read.
    code = (
        "import sys; before = {*sys.modules, *sys.builtin_module_names}; import kfgraph.__main__; "
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['kfgraph', 'kfgraph.__main__']\n"


NOWHERE = [["--help"], ["--version"], ["show", "--help"], ["trace", "--help"], [], ["show", "T"], ["top", "T", "--csv"],
           ["info", "T", "--json"], ["doctor"], ["--show-completion", "bash"]]  # fmt: skip


@pytest.mark.parametrize("words", NOWHERE, ids=" ".join)
def test_a_closed_pipe_is_no_error(words, trace) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    words = [trace if word == "T" else word for word in words]
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], stdout=theirs, stderr=subprocess.PIPE, timeout=60, env=environment
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("words", NOWHERE, ids=" ".join)
def test_a_full_disk_is_one_line(words, trace) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here: it is part of Linux")
    words = [trace if word == "T" else word for word in words]
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *words], stdout=full, stderr=subprocess.PIPE, timeout=60, env=environment
        )
    assert (done.returncode, done.stderr) == (3, b"kfgraph: No space left on device\n")


@pytest.mark.parametrize("mib", [30, 60, 100, 140, 170, 180, 190, 220, 260, 400])
def test_too_little_memory_for_an_import_is_no_bug(mib, trace, tmp_path) -> None:
    text = tmp_path / "r.txt"
    text.write_text(report_text(trace_of([call("f", 1_000)])))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (mib << 20, mib << 20))

    for path in (trace, str(text)):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, "show", path], capture_output=True, text=True, timeout=60, preexec_fn=limited
        )
        if "kfgraph" not in done.stderr and done.returncode not in (0, 3):
            continue  # Python itself has too little
        assert done.returncode in (0, 3), done.stderr
        if done.returncode:
            assert done.stderr.startswith("kfgraph: not enough memory\n") and "bug" not in done.stderr


@pytest.mark.parametrize(
    "problem",
    [
        "MemoryError()",
        "ImportError('x.so: failed to map segment from shared object')",
        "ImportError('libz.so.1: cannot allocate memory in static TLS block')",
        "RuntimeError(\"can't start new thread\")",
        "RuntimeError('a wrapper')",
    ],
)
def test_what_others_make_of_too_little_memory(problem, trace) -> None:
    code = (
        "import kfgraph.cli.options as o, kfgraph.__main__ as m\n"
        f"def broken(*a, **k):\n    try:\n        raise {problem}\n"
        "    except Exception as why:\n        raise ImportError('numpy is not to be had') from why\n"
        "o.open_trace = broken\nm.entry_point()"
    )
    done = subprocess.run([sys.executable, "-c", code, "info", trace], capture_output=True, text=True, timeout=60)
    wrapped = "wrapper" in problem
    assert done.returncode == (1 if wrapped else 3)
    assert done.stderr.startswith("kfgraph: bug: ImportError" if wrapped else "kfgraph: not enough memory\n  hint: ")


# The trace is a small one: it would be read without threads.
OURS = (
    "import kfgraph.model.background as b\ndef broken(self):\n    raise MemoryError\nb._Work.__call__ = broken\n"
    "b._WORTH_BYTES = 0\n"
)
A_LIBRARYS = (
    "import threading, kfgraph.model.background as b\ndef _bootstrap(self):\n    raise MemoryError\n"
    "threading.Thread._bootstrap = _bootstrap\nb.beside = lambda f, n_bytes: threading.Thread(target=f).start()\n"
)


@pytest.mark.parametrize("broken", [OURS, A_LIBRARYS], ids=["ours", "a library's"])
def test_a_thread_that_cannot_begin_ends_the_wait(broken, trace) -> None:
    code = f"{broken}import kfgraph.__main__ as m\nm.entry_point()"
    done = subprocess.run([sys.executable, "-c", code, "show", trace], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[0] == "kfgraph: not enough memory" and "raceback" not in done.stderr


def test_the_traceback_of_a_bug_is_harmless_too(trace) -> None:
    code = (
        "import kfgraph.cli.options as o, kfgraph.__main__ as m\n"
        "def broken(*a, **k):\n    raise ZeroDivisionError('\\x1b[41m')\n"
        "o.open_trace = broken\nm.entry_point()"
    )
    done = subprocess.run([sys.executable, "-c", code, "--debug", "info", trace], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.endswith("ZeroDivisionError: \\x1b[41m\n")


@pytest.mark.parametrize("words", ["show --root", "top --limit", "trace --guest-kernel", "flame -o"])
def test_an_option_without_its_value_is_no_unknown_option(words) -> None:
    code, _, err = kfgraph(*words.split())
    assert code == 2 and f"Option '{words.split()[1]}' requires an argument." in err and "it is one of" not in err


@pytest.mark.parametrize("came", [True, False])
def test_what_c_code_prints_of_a_ctrl_c_is_not_shown(came) -> None:
    """As import_umath() of numpy does: what a signal made of an import is printed, and another error is raised."""
    code = """if True:
        import sys
        import kfgraph.cli.app as app

        def broken_import(argv):
            app._interrupts.extend([2] * (sys.argv[1] == "True"))
            problem = ImportError("_multiarray_umath failed to import")
            sys.excepthook(ImportError, problem, None)  # PyErr_Print
            raise ImportError("numpy._core.umath failed to import")

        app._run = broken_import
        app.entry_point()
    """
    done = subprocess.run([sys.executable, "-c", code, str(came)], capture_output=True, text=True)
    assert ("_multiarray_umath failed" in done.stderr) == (not came)
    assert done.returncode == (130 if came else 1) and (done.stderr == "" or not came)
