"""Which module files a command will load, told from its words."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kfgraph.capture.child import Command, with_sbin
from kfgraph.capture.shellwords import SimpleCommand, simple_commands
from kfgraph.errors import CaptureError, InputError
from kfgraph.model.spelling import shell_line
from kfgraph.programs import Bounds, Overrun, run

if TYPE_CHECKING:
    from kfgraph.kernel.module import Module

ShowDepends = Callable[[Sequence[str]], str | None]
"""What modprobe loads for these words, as :func:`modprobe_depends`; None: that is not to be asked here."""

_LOADS_NOTHING = re.compile(r"--(remove|remove-holders|dry-run|show|showconfig|show-\w+|resolve-alias|version|help)")
_LOADS_NOTHING_SHORT = re.compile(r"-[a-zA-Z]*[rncDRVh][a-zA-Z]*")

_PATIENCE = Bounds(seconds=30, n_bytes=1 << 20)


@dataclass(frozen=True)
class Load:
    """One file that is loaded: ``asked`` for by the command, or needed by such a one.

    ``path`` None: which file it is cannot be told; ``why`` says why. ``words`` is the command.
    """

    words: str
    path: Path | None
    asked: bool
    why: str = ""


@dataclass(frozen=True)
class Loads:
    """The modules that a command loads.

    ``asked`` are those it names, ``needed`` those that must be there before, both in the order of loading.
    ``unread`` has a sentence for each load whose file could not be looked into.
    """

    asked: tuple[Module, ...] = ()
    needed: tuple[Module, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def modules(self) -> tuple[Module, ...]:
        """All of them, in the order of loading as far as it is known."""
        return (*self.needed, *self.asked)


def modprobe_depends(words: Sequence[str]) -> str:
    """What ``modprobe --show-depends`` prints for these words; "" if it fails or is missing."""
    try:
        env = {**os.environ, "PATH": with_sbin(os.environ.get("PATH", os.defpath))}
        argv = ["modprobe", "--show-depends", *words]
        done = run(argv, _PATIENCE, env=env)
    except (OSError, Overrun):
        return ""
    return done.text if done.status == 0 else ""


def module_files(
    argv: Sequence[str], *, cwd: str = "", home: str = "", show_depends: ShowDepends = modprobe_depends
) -> list[Load]:
    """What ``argv`` loads, in the order of loading, each file once.

    Follows sudo, env, nice, timeout and their like, ``sh -c`` and its ``cd``; knows insmod, and modprobe with its
    dependencies. What it cannot see (the file of a script, a daemon) is not in the list.
    """
    found: dict[object, Load] = {}
    for command in simple_commands(argv, cwd=Path(cwd or ".").absolute(), home=home):
        name = Path(command.words[0]).name
        loads = _insmod(command) if name == "insmod" else _modprobe(command, show_depends) if name == "modprobe" else ()
        for load in loads:
            known = found.setdefault(load.path or load.words, load)
            if load.asked and not known.asked:
                found[load.path or load.words] = load
    return list(found.values())


def _insmod(command: SimpleCommand) -> Iterator[Load]:
    shown = shell_line(command.words)
    file = next((word for word in command.words[1:] if not word.startswith("-")), None)
    if file is None:
        return
    if re.search(r"[$`*?]", file):
        yield Load(shown, None, asked=True, why="which file it loads is known to the shell only")
    elif command.cwd is None and not file.startswith("/"):
        yield Load(shown, None, asked=True, why="the directory it runs in is known to the shell only")
    else:
        yield Load(shown, (command.cwd or Path("/")) / file, asked=True)


def _modprobe(command: SimpleCommand, show_depends: ShowDepends) -> Iterator[Load]:
    words, shown = command.words[1:], shell_line(command.words)
    if any(_LOADS_NOTHING.fullmatch(w) or _LOADS_NOTHING_SHORT.fullmatch(w) for w in words):
        return
    named = {word.replace("-", "_") for word in words if not word.startswith("-")}
    if not named:
        return
    told = show_depends(words)
    if told is None:
        return
    lines = told.splitlines()
    if not lines:
        yield Load(shown, None, asked=True, why="modprobe --show-depends names no file for it")
    files = [Path(line.split()[1]) for line in lines if line.startswith("insmod ")]
    for file in files:
        # An alias may ask for it by another name: then it is the last.
        yield Load(shown, file, asked=file == files[-1] or file.name.partition(".ko")[0].replace("-", "_") in named)


def find_loads(
    command: Command | None, *, named: Sequence[str] = (), show_depends: ShowDepends = modprobe_depends
) -> Loads:
    """The modules that the command loads, those ``named`` by the user included.

    Raises:
        CaptureError: a named file is no module.
    """
    asked: dict[str, Module] = {}
    needed: dict[str, Module] = {}
    unread = []
    for load in _of(command, show_depends) if command else ():
        if load.path is None:
            unread.append(_unread(load.words, load.why))
            continue
        try:
            module = read_module(load.path)
            (asked if load.asked else needed)[module.image.path] = module
        except InputError as problem:
            unread.append(_unread(load.words, problem.message, helps=os.path.lexists(load.path)))
    for name in named:
        try:
            module = read_module(name)
            asked[module.image.path] = module
        except InputError as problem:
            raise CaptureError(f"--module {problem.message}") from None
    return Loads(tuple(asked.values()), tuple(m for path, m in needed.items() if path not in asked), tuple(unread))


def read_module(path: str | Path) -> Module:
    """As :func:`kfgraph.kernel.module.read_module`, which is imported here: most commands load nothing."""
    from kfgraph.kernel import module

    return module.read_module(path)


def _of(command: Command, show_depends: ShowDepends) -> list[Load]:
    return module_files(command.argv, cwd=command.cwd, home=command.env.get("HOME", ""), show_depends=show_depends)


def _unread(words: str, why: str, *, helps: bool = True) -> str:
    hint = " (--module FILE names it)" if helps else ""
    return f"{words}: not looked into, so its functions have no return probes: {why}{hint}"
