"""Which module files a command will load, told from its words."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kfgraph.capture.child import Command
from kfgraph.errors import CaptureError, InputError
from kfgraph.kernel.module import Module, read_module

# Programs that run the command after their own options; the options that take a separate word.
_WRAPPERS = {
    "sudo": "CDRTUghprtu",
    "doas": "Cu",
    "env": "CSu",
    "nice": "n",
    "ionice": "cnpu",
    "nohup": "",
    "setsid": "",
    "stdbuf": "eio",
    "time": "fo",
    "timeout": "ks",
    "chrt": "DPT",
    "taskset": "",
    "unshare": "RSGw",
    "strace": "aeIoOpPsSuEbX",
}
# Those of them that take one word of their own before the command.
_OPERANDS = {"timeout": 1, "chrt": 1, "taskset": 1}
_SHELLS = {"sh", "bash", "dash", "zsh", "ksh"}
# Words that may stand before a command: programs with applets, and the shell's own.
_PREFIXES = {
    "busybox",
    "kmod",
    "exec",
    "command",
    "builtin",
    "!",
    "{",
    "if",
    "then",
    "elif",
    "else",
    "while",
    "until",
    "do",
}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_MAX_DEPTH = 8

ShowDepends = Callable[[Sequence[str]], str]


def modprobe_depends(words: Sequence[str]) -> str:
    """What ``modprobe --show-depends`` prints for these words; "" if it fails or is missing."""
    try:
        done = subprocess.run(
            ["modprobe", "--show-depends", *words], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def module_files(argv: Sequence[str], *, cwd: str = "", show_depends: ShowDepends = modprobe_depends) -> list[Path]:
    """The files of the modules that ``argv`` loads, in the order of loading, each once.

    Follows sudo, env, nice, timeout and their like, and ``sh -c``; knows insmod, and modprobe with its
    dependencies. What it cannot see (a script, a daemon) is not in the list.
    """
    found: list[Path] = []
    for words in _simple_commands(list(argv), 0):
        name, rest = Path(words[0]).name, words[1:]
        if name == "insmod":
            operands = [w for w in rest if not w.startswith("-")]
            found += [Path(cwd or ".") / operand for operand in operands[:1]]
        elif name == "modprobe" and not _removes(rest):
            lines = show_depends(rest).splitlines()
            found += [Path(line.split()[1]) for line in lines if line.startswith("insmod ")]
    return list(dict.fromkeys(path.absolute() for path in found))


def _removes(words: Sequence[str]) -> bool:
    return any(w == "--remove" or re.fullmatch(r"-[a-zA-Z]*r[a-zA-Z]*", w) for w in words)


def _simple_commands(words: list[str], depth: int) -> Iterator[list[str]]:
    """The commands inside ``words``, without what is wrapped around them."""
    while words and depth < _MAX_DEPTH:
        name = Path(words[0]).name
        if _ASSIGNMENT.match(words[0]) or name in _PREFIXES:
            words = words[1:]
        elif name in _WRAPPERS:
            words = _unwrap(words[1:], _WRAPPERS[name])[_OPERANDS.get(name, 0) :]
        elif name in _SHELLS:
            script = _shell_script(words[1:])
            for command in _split_script(script):
                yield from _simple_commands(command, depth + 1)
            return
        else:
            yield words
            return


def _unwrap(words: list[str], with_value: str) -> list[str]:
    position = 0
    while position < len(words) and words[position].startswith("-"):
        word = words[position]
        if word == "--":
            return words[position + 1 :]
        # -u NAME takes the next word, -uNAME and --user=NAME do not.
        position += 2 if len(word) == 2 and word[1] in with_value else 1
    return words[position:]


def _shell_script(words: list[str]) -> str:
    for position, word in enumerate(words):
        if re.fullmatch(r"-[a-z]*c[a-z]*", word):
            return words[position + 1] if position + 1 < len(words) else ""
        if not word.startswith("-"):
            break
    return ""


def _split_script(script: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(script.replace("\n", ";"), posix=True, punctuation_chars=True)
    command: list[str] = []
    try:
        for token in lexer:
            if set(token) <= set(";&|()"):
                if command:
                    yield command
                command = []
            else:
                command.append(token)
    except ValueError:
        return  # an open quote: the shell will say so
    if command:
        yield command


def find_loads(
    command: Command | None, *, named: Sequence[str] = (), show_depends: ShowDepends = modprobe_depends
) -> tuple[tuple[Module, ...], tuple[str, ...]]:
    """The modules that the command loads, those ``named`` by the user included; a sentence for each unreadable file.

    Raises:
        CaptureError: a named file is no module.
    """
    modules: dict[str, Module] = {}
    notes = []
    for path in module_files(command.argv, cwd=command.cwd, show_depends=show_depends) if command else ():
        try:
            module = read_module(path)
            modules[module.image.path] = module
        except InputError as problem:
            notes.append(f"not looked into: {problem.message}")
    for name in named:
        try:
            module = read_module(name)
            modules[module.image.path] = module
        except InputError as problem:
            raise CaptureError(f"--module {problem.message}") from None
    return tuple(modules.values()), tuple(notes)
