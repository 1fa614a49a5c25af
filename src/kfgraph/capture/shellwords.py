"""The simple commands inside a command line: behind sudo, env and their like, and in a shell's script.

Nothing is run and nothing expanded but ``~/``: what depends on a variable or a pattern keeps its ``$`` or ``*``.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SimpleCommand:
    """One command with its own words, and the directory it runs in (None: that cannot be told)."""

    words: tuple[str, ...]
    cwd: Path | None


@dataclass(frozen=True)
class _Wrapper:
    """A program that runs the command after its own options.

    ``short`` and ``long`` are the options that take a value as a separate word, ``directory`` those of them that
    name the directory to run in, ``split`` those whose value holds more of the command line, ``operands`` the number
    of its own words before the command.
    """

    short: str = ""
    long: tuple[str, ...] = ()
    directory: tuple[str, ...] = ()
    split: tuple[str, ...] = ()
    operands: int = 0


# From their manual pages.
_WRAPPERS = {
    "sudo": _Wrapper(
        "CDRTUghprtu",
        (
            *("chdir", "chroot", "close-from", "command-timeout"),
            *("group", "host", "other-user", "prompt", "role", "type", "user"),
        ),
        directory=("D", "chdir"),
    ),
    "doas": _Wrapper("Cu"),
    "env": _Wrapper("CSu", ("chdir", "split-string", "unset"), directory=("C", "chdir"), split=("S", "split-string")),
    "nice": _Wrapper("n", ("adjustment",)),
    "ionice": _Wrapper("cnpPu", ("class", "classdata", "pid", "pgid", "uid")),
    "nohup": _Wrapper(),
    "setsid": _Wrapper(),
    "stdbuf": _Wrapper("eio", ("input", "output", "error")),
    "time": _Wrapper("fo", ("format", "output")),
    "timeout": _Wrapper("ks", ("kill-after", "signal"), operands=1),
    "chrt": _Wrapper("DPT", ("sched-runtime", "sched-period", "sched-deadline"), operands=1),
    "taskset": _Wrapper(operands=1),
    "unshare": _Wrapper("RSGw", ("root", "setuid", "setgid", "wd", "propagation"), directory=("w", "wd")),
    "strace": _Wrapper("aeIoOpPsSuEbX"),
}
_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "ash"}
_SHELL_LONG = ("--rcfile", "--init-file")
# Words that may stand before a command: programs with applets, and the shell's own.
_PREFIXES = {"busybox", "kmod", "exec", "command", "builtin", "!", "{", "if", "then", "elif", "else", "while", "until"}
_PREFIXES |= {"do"}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_UNTOLD = re.compile(r"[$`*?]")
_MAX_DEPTH = 8


def simple_commands(argv: Sequence[str], *, cwd: Path, home: str = "") -> Iterator[SimpleCommand]:
    """The commands that ``argv`` comes to, in the order of its words.

    What cannot be seen (the file of a script, a daemon) is not among them.
    """
    yield from _inside(list(argv), cwd, home, 0)


def _inside(words: list[str], cwd: Path | None, home: str, depth: int) -> Iterator[SimpleCommand]:
    n_unwrapped = 0
    while words and depth < _MAX_DEPTH and n_unwrapped < 100:
        n_unwrapped += 1
        name = Path(words[0]).name
        if _ASSIGNMENT.match(words[0]) or name in _PREFIXES:
            words = words[1:]
        elif name in _WRAPPERS:
            words, cwd = _unwrap(words[1:], _WRAPPERS[name], cwd)
        elif name in _SHELLS:
            yield from _script(_shell_script(words[1:]), cwd, home, depth + 1)
            return
        else:
            yield SimpleCommand(tuple(words), cwd)
            return


def _unwrap(words: list[str], wrapper: _Wrapper, cwd: Path | None) -> tuple[list[str], Path | None]:
    """The words behind a wrapper's own, and the directory it changes to."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        option, value = _option_value(word, rest, wrapper)
        if option in wrapper.directory and value is not None:
            cwd = _below(cwd, value)
        if option in wrapper.split and value is not None:
            with contextlib.suppress(ValueError):  # an open quote: env will say so
                rest[:0] = shlex.split(value)
    return rest[wrapper.operands :], cwd


def _option_value(word: str, rest: list[str], wrapper: _Wrapper) -> tuple[str, str | None]:
    """The option in ``word`` that takes a value, and the value, taken out of ``rest`` where it is a word there."""
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        # getopt_long takes any beginning of a name.
        full = next((option for option in wrapper.long if option.startswith(name)), "")
        if equals:
            return full, value
        return full, rest.pop(0) if full and rest else None
    for at, letter in enumerate(word[1:], 1):
        if letter in wrapper.short:
            # -u NAME takes the next word, -uNAME does not.
            return letter, word[at + 1 :] or (rest.pop(0) if rest else None)
    return "", None


def _below(cwd: Path | None, name: str) -> Path | None:
    if _UNTOLD.search(name) or (cwd is None and not name.startswith("/")):
        return None
    return Path(name) if cwd is None else cwd / name


def _shell_script(words: list[str]) -> str:
    """What ``sh -c`` is to run: the first word that is no option; "" without -c."""
    rest, is_script = list(words), False
    while rest and rest[0][:1] in ("-", "+") and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            del rest[: word in _SHELL_LONG]
            continue
        is_script |= word[0] == "-" and "c" in word
        del rest[: word.count("o") + word.count("O")]
    return rest[0] if is_script and rest else ""


def _script(script: str, cwd: Path | None, home: str, depth: int) -> Iterator[SimpleCommand]:
    outer: list[Path | None] = []
    for words in _lines(script):
        if words == ["("]:
            outer.append(cwd)
        elif words == [")"]:
            cwd = outer.pop() if outer else cwd
        else:
            words = [home + word[1:] if home and re.match(r"~(/|$)", word) else word for word in words]
            for command in _inside(words, cwd, home, depth):
                if command.words[0] in ("cd", "pushd"):
                    cwd = _changed(command, home)
                else:
                    yield command


def _changed(command: SimpleCommand, home: str) -> Path | None:
    """Where ``cd`` leads."""
    operands = [word for word in command.words[1:] if not re.fullmatch(r"-[LPe@]+|--", word)]
    target = operands[0] if operands else home
    return None if target in ("", "-") else _below(command.cwd, target)


def _lines(script: str) -> Iterator[list[str]]:
    """The words of each simple command; ``(`` and ``)`` are lists of their own. It ends at a quote left open.

    Source: Shell Command Language, POSIX.1-2017, 2.2 quoting, 2.3 token recognition, 2.7 redirection.
    """
    command: list[str] = []
    at, skip_word, here_documents = 0, False, list[str]()
    while at < len(script):
        letter = script[at]
        if operator := re.compile(r"\d*(?:&>>?|<<<|<<-?|>>|>\||[<>]&?|<>)").match(script, at):
            here = operator[0].lstrip("0123456789").rstrip("-") == "<<"
            at, skip_word = operator.end(), True
            if here and (end_word := re.compile(r"\s*(['\"]?)([\w.-]+)\1").match(script, at)):
                here_documents.append(end_word[2])
        elif letter in ";&|()\n":
            if command:
                yield command
            command, skip_word = [], False
            if letter in "()":
                yield [letter]
            at += 1
            if letter == "\n":
                for last in here_documents:
                    after = re.compile(rf"^\t*{re.escape(last)}$", re.MULTILINE).search(script, at)
                    at = after.end() if after else len(script)
                here_documents = []
        elif letter.isspace():
            at += 1
        elif script.startswith("\\\n", at):
            at += 2
        elif letter == "#":
            at = len(script) if (end := script.find("\n", at)) < 0 else end
        else:
            read = _word(script, at)
            if read is None:
                return
            word, at = read
            if not skip_word:
                command.append(word)
            skip_word = False
    if command:
        yield command


def _word(script: str, at: int) -> tuple[str, int] | None:
    """The word that begins at ``at``, without its quotes, and where it ends; None if a quote is left open."""
    word = ""
    while at < len(script) and not script[at].isspace() and script[at] not in ";&|()<>":
        letter = script[at]
        if letter == "'":
            end = script.find("'", at + 1)
            if end < 0:
                return None
            word, at = word + script[at + 1 : end], end + 1
        elif letter == '"':
            quoted = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL).match(script, at)
            if quoted is None:
                return None
            word, at = word + re.sub(r"\\([$`\"\\])", r"\1", quoted[1].replace("\\\n", "")), quoted.end()
        elif letter == "\\":
            word, at = word + script[at + 1 : at + 2].replace("\n", ""), at + 2
        else:
            word, at = word + letter, at + 1
    return word, at
