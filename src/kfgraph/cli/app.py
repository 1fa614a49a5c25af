"""The command line: the list of commands, and the one error boundary."""

from __future__ import annotations

import _thread
import contextlib
import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import IO, Any

from kfgraph.cli import memory
from kfgraph.cli.invocation import Invocation, running
from kfgraph.cli.saying import fail, say, write_lines
from kfgraph.errors import Interrupted, KfgraphError, MachineError, UsageError
from kfgraph.model.spelling import shell_line


@dataclass(frozen=True)
class Command:
    """One command: ``module`` holds the function ``run``; ``passthrough``: its operand is a command line, and its
    options are declared so that plain ones are understood without typer. ``takes_command``: what stands behind the
    first ``--`` is a command line, which ``run`` gets as ``command``.

    ``summary`` begins the docstring of ``run``: the list of commands needs it and not the module.
    """

    name: str
    module: str
    summary: str
    passthrough: bool = False
    takes_command: bool = False


COMMANDS = (
    Command(
        "trace",
        "kfgraph.cli.trace",
        "Run COMMAND and record the kernel functions it runs; its exit status is passed on.",
        passthrough=True,
    ),
    Command(
        "why",
        "kfgraph.cli.why",
        "Why the command failed: which call failed, where the error was born, and how it came up.",
        takes_command=True,
    ),
    Command(
        "show",
        "kfgraph.cli.show",
        "The call tree below a function, or of every task: who called whom, and how long each call took.",
    ),
    Command(
        "top",
        "kfgraph.cli.top",
        "Which functions the time went into: calls, self and total time, percentiles, and the hot paths.",
    ),
    Command(
        "errors",
        "kfgraph.cli.errorlist",
        "Every call that returned an error: where it began, how far it came up, and who handled it.",
    ),
    Command(
        "syscalls",
        "kfgraph.cli.syscalls",
        "The system calls of the command, as strace shows them: arguments, result, time; -c sums them up.",
    ),
    Command(
        "info",
        "kfgraph.cli.info",
        "What a trace is: kernel, clock, tasks, calls, losses, and how it was recorded.",
    ),
    Command(
        "doctor",
        "kfgraph.cli.doctor",
        "Check whether tracing works here, natively and in a guest, each obstacle with its remedy.",
    ),
)


def open_standard_streams() -> None:
    """Where a standard stream was closed (``2>&-``), read and write nothing: else a file would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _never_fail_on_a_letter() -> None:
    """Where the locale cannot write a letter (a tree line, a name from the trace), write ``?`` for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def drop(stream: IO[Any]) -> None:
    """Point a stream that cannot be written to elsewhere: what comes, and the flush at exit, goes nowhere, silently."""
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), stream.fileno())




def main(args: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code.

    Expected failures are one line and a hint, a closed pipe is no failure, Ctrl-C is 130, SIGTERM 143. A bug keeps
    its traceback under ``--debug`` and is one line otherwise.
    """
    return _main(Invocation.of_process() if args is None else Invocation.of(args))


def _main(invocation: Invocation, *, ready: Callable[[], object] = lambda: None) -> int:
    """The boundary; ``ready`` is called where Ctrl-C can be answered."""
    debug = invocation.debug
    open_standard_streams()
    _never_fail_on_a_letter()
    # Ignored, as some parents leave it, no child's end could be waited for.
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        ready()
        with running(invocation):
            return _run(list(invocation.argv))
    except KfgraphError as problem:
        return fail(problem)
    except KeyboardInterrupt as stop:
        return 128 + (stop.number if isinstance(stop, Interrupted) else signal.SIGINT)
    except BrokenPipeError:
        drop(sys.stdout)
        return 0
    except OSError as problem:
        if debug:
            raise
        drop(sys.stdout)
        return fail(MachineError(": ".join(filter(None, (problem.filename, problem.strerror or str(problem))))))
    except Exception as bug:
        # An import that is interrupted may make an error of its own of it.
        if any(isinstance(cause, KeyboardInterrupt) for cause in memory.causes(bug)):
            return 128 + signal.SIGINT
        if memory.is_want_of_memory(bug):
            hint = "give a smaller trace; kfgraph info says what this one holds"
            return fail(MachineError("not enough memory", hint))
        if debug:
            raise
        say(f"bug: {type(bug).__name__}: {bug}", hint="run again with --debug and report the traceback")
        return 1


def _run(argv: Sequence[str]) -> int:
    own = list(takewhile(lambda word: word == "--debug", argv))
    rest = argv[len(own) :]
    if rest and not rest[0].startswith("--") and all(c.name != rest[0] for c in COMMANDS):
        from kfgraph.cli import first_word

        argv = [*own, *first_word.meaning(rest)]
    command = next((c for c in COMMANDS if c.passthrough and argv[:1] == [c.name]), None)
    if command is not None and "_KFGRAPH_COMPLETE" not in os.environ:
        from kfgraph.cli import fastparse

        run = importlib.import_module(command.module).run
        arguments = fastparse.parse(run, argv[1:])
        if arguments is not None:
            status: int = run(**arguments)
            sys.stdout.flush()
            return status
    from kfgraph.cli import typed

    words, command_line = list(argv), []
    if "--" in words and any(c.takes_command and c.name in words[:2] for c in COMMANDS):
        at = words.index("--")
        words, command_line = words[:at], words[at + 1 :]
        if not command_line:
            raise UsageError("-- is followed by no command", f"kfgraph {shell_line(words)} -- insmod foo.ko")
    return typed.run(words, command_line)


def _heed(problem: sys.UnraisableHookArgs) -> None:
    """What Python can tell nobody, being in a finalizer or where a thread begins."""
    if isinstance(problem.exc_value, KeyboardInterrupt):
        _thread.interrupt_main()
    elif isinstance(problem.exc_value, MemoryError) and "_bootstrap" in f"{problem.object!r} {problem.err_msg}":
        # The thread that started this one would wait for it for ever.
        os._exit(fail(MachineError("not enough memory")))
    else:
        sys.__unraisablehook__(problem)


def entry_point(leave: Callable[..., None] | None = None) -> None:
    """The installed command ``kfgraph``; ``leave`` is the handler that Ctrl-C has so far, if it is not Python's."""

    def answer_ctrl_c() -> None:
        sys.unraisablehook = _heed
        if leave is not None and signal.getsignal(signal.SIGINT) is leave:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        status = _main(Invocation.of_process(), ready=answer_ctrl_c)
    except KeyboardInterrupt:  # another one, while the first was being answered
        os._exit(128 + signal.SIGINT)
    except SystemExit:  # a shell that completes
        raise
    except BaseException:
        import traceback

        write_lines(traceback.format_exc().splitlines())
        os._exit(1)
    if leave is not None and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    # What is left to free goes with the process; taking the interpreter apart costs a tenth of a short run.
    os._exit(status)
