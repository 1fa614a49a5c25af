"""The command line: one command is run, inside the one error boundary."""

from __future__ import annotations

import _thread
import contextlib
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from itertools import takewhile
from types import FrameType, TracebackType

from kfgraph.cli import memory, stdio
from kfgraph.cli.commands import COMMANDS
from kfgraph.cli.invocation import Invocation, running
from kfgraph.cli.messages import fail, say, write_lines
from kfgraph.errors import Interrupted, KfgraphError, MachineError, UsageError
from kfgraph.model.spelling import shell_line


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code.

    Expected failures are one line and a hint, a closed pipe is no failure, Ctrl-C is 130, SIGTERM 143. A bug keeps
    its traceback under ``--debug`` and is one line otherwise.
    """
    return _main(Invocation.of_process() if args is None else Invocation.of(args))


def _main(invocation: Invocation, *, ready: Callable[[], object] = lambda: None) -> int:
    """The boundary; ``ready`` is called where Ctrl-C can be answered."""
    debug = invocation.debug
    stdio.open_standard_streams()
    stdio.never_fail_on_a_letter()
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
        stdio.drop(sys.stdout)
        return 0
    except OSError as problem:
        if debug:
            raise
        stdio.drop(sys.stdout)
        return fail(MachineError(": ".join(filter(None, (problem.filename, problem.strerror or str(problem))))))
    except Exception as bug:
        # An import that is interrupted may make an error of its own of it, which need not tell why.
        if _interrupts or any(isinstance(cause, KeyboardInterrupt) for cause in memory.causes(bug)):
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
    words, command_line = list(argv), []
    if "--" in words and any(c.takes_command and c.name in words[:2] for c in COMMANDS):
        at = words.index("--")
        words, command_line = words[:at], words[at + 1 :]
        if not command_line:
            raise UsageError("no command after --", f"kfgraph {shell_line(words)} -- insmod foo.ko")
    command = next((c for c in COMMANDS if words[len(own) : len(own) + 1] == [c.name]), None)
    if command is not None and "_KFGRAPH_COMPLETE" not in os.environ:
        from kfgraph.cli import fastparse
        from kfgraph.cli.declared import with_values

        run = importlib.import_module(command.module).run
        words[len(own) + 1 :] = with_values(run, words[len(own) + 1 :])
        arguments = fastparse.parse(run, words[len(own) + 1 :])
        if arguments is not None:
            status: int | None = run(**arguments, **({"command": tuple(command_line)} if command.takes_command else {}))
            sys.stdout.flush()
            return status or 0
    from kfgraph.cli import typed

    if not rest:
        # Some versions of click find nothing wrong with no command.
        typed.run([*own, "--help"])
        return UsageError.exit_code
    return typed.run(words, command_line)


_interrupts: list[int] = []
"""The SIGINTs that came."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Python's own handler of Ctrl-C, which remembers that it came."""
    _interrupts.append(number)
    if _in_hook(frame):
        _interrupt_again(number)
        return
    signal.default_int_handler(number, frame)


def _in_hook(frame: FrameType | None) -> bool:
    """Whether this frame was called by :func:`_heed`, whose own exceptions Python prints."""
    while frame is not None and frame.f_code is not _heed.__code__:
        frame = frame.f_back
    return frame is not None


def _interrupt_again(number: int) -> None:
    """Raise a signal that could be told to nobody once more, as soon as the main thread is out of the hook."""
    main_thread = _thread.get_ident()

    def wait_and_raise() -> None:
        while _in_hook(sys._current_frames().get(main_thread)):
            time.sleep(0.001)
        n_before = len(_interrupts)
        while len(_interrupts) == n_before:
            # A real one, to end a system call that waits; once more where it came right before that call.
            signal.pthread_kill(main_thread, number)
            if signal.getsignal(number) is not _interrupt:
                return
            time.sleep(0.01)

    try:
        _thread.start_new_thread(wait_and_raise, ())
    except RuntimeError:  # no room for a thread
        os._exit(128 + number)


def _heed(problem: sys.UnraisableHookArgs) -> None:
    """What Python can tell nobody, being in a finalizer or where a thread begins."""
    if isinstance(problem.exc_value, KeyboardInterrupt):
        stop = problem.exc_value
        _interrupt_again(stop.number if isinstance(stop, Interrupted) else signal.SIGINT)
        return
    if isinstance(problem.exc_value, MemoryError):
        where = f"{problem.object!r} {problem.err_msg}"
        if "kfgraph.model.background" in where:
            return  # who waits for it finds out, and says so
        if "_bootstrap" in where:
            # A library's: the thread that started this one would wait for it for ever.
            os._exit(fail(MachineError("not enough memory")))
    sys.__unraisablehook__(problem)


def _print(kind: type[BaseException], problem: BaseException, trace: TracebackType | None) -> None:
    """What C code prints of an exception before it makes another one of it, as numpy does while it is imported: after
    a Ctrl-C that is its answer to it."""
    if not _interrupts:
        sys.__excepthook__(kind, problem, trace)


def entry_point(leave: Callable[..., None] | None = None) -> None:
    """The installed command ``kfgraph``; ``leave`` is the handler that Ctrl-C has so far, if it is not Python's."""

    def answer_ctrl_c() -> None:
        sys.unraisablehook, sys.excepthook = _heed, _print
        if leave is not None and signal.getsignal(signal.SIGINT) is leave:
            signal.signal(signal.SIGINT, _interrupt)

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
    if leave is not None and signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, leave)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    # What is left to free goes with the process; taking the interpreter apart costs a tenth of a short run.
    os._exit(status)
