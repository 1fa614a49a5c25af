"""Hostile text made harmless: for people, for JSON, for a shell. Every stream's text goes through here.

Names of functions, tasks, events, files and hosts come from a trace or from a user. Some of them hold what moves a
cursor, sets a title, turns a line around, or cannot be seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

_INVISIBLE = (
    "\\x00-\\x1f\\x7f-\\x9f"  # C0, DEL, C1
    "\\xad\\u034f\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f"
    "\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f"  # zero width; directions: marks, embeddings, overrides, isolates
    "\\u3164\\ufdd0-\\ufdef\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\ufffe\\uffff"
    "\\ud800-\\udfff"  # halves of a pair; bytes that are no UTF-8
    "\\U000110bd\\U000110cd\\U00013430-\\U0001345f\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a"
    "\\U000e0000-\\U000e0fff"  # tags
)
"""What is not printed as itself: the categories Cc, Cf, Cs, Zl, Zp and the code points that Unicode calls
Default_Ignorable (DerivedCoreProperties.txt)."""

_NEEDS_NO_QUOTES = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


@lru_cache(maxsize=1)
def _unprintable() -> re.Pattern[str]:
    return re.compile(f"[{_INVISIBLE}]")


def spelt_out(text: str) -> str:
    """``text`` with all that moves a cursor, turns a line or cannot be seen spelt out: ``\\x1b``, ``\\u202e``.

    A byte of a file's name that is no UTF-8 is ``\\xff``.
    """
    if text.isascii() and text.isprintable():
        return text
    return _unprintable().sub(lambda found: _spelling(found[0]), text)


def _spelling(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # as surrogateescape has it
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


def spelt_out_lines(text: str) -> str:
    """The same where the ends of lines are ours."""
    return "\n".join(map(spelt_out, text.split("\n")))


def json_text(value: Any, *, indent: int | None = None) -> str:
    """``value`` as JSON in printable ASCII."""
    import json

    return json.dumps(value, indent=indent, ensure_ascii=True)


def shell_word(word: str) -> str:
    """``word`` as it is typed into a shell; ``$'...'`` where it cannot be seen (bash, zsh, ksh, dash from 0.5.13)."""
    if _NEEDS_NO_QUOTES.fullmatch(word):
        return word  # as shlex would, which takes 2 ms to import
    if word.isprintable() or not _unprintable().search(word):
        import shlex

        return shlex.quote(word)
    spelt = _unprintable().sub(lambda found: _for_a_shell(found[0]), word.replace("\\", "\\\\").replace("'", "\\'"))
    return f"$'{spelt}'"


def _for_a_shell(letter: str) -> str:
    code = ord(letter)
    data = bytes([code - 0xDC00]) if 0xDC80 <= code <= 0xDCFF else letter.encode("utf-8", "surrogatepass")
    # An octal number of three digits ends where it is to end, whatever follows.
    return "".join(f"\\{byte:03o}" for byte in data)


def shell_line(words: Sequence[str]) -> str:
    """A command line as it is typed."""
    return " ".join(map(shell_word, words))


def plain_name(name: str) -> str:
    """``f`` of ``f.constprop.0``: without what the compiler appended (``.isra.0``, ``.part.0``, ``.cold``)."""
    return name.partition(".")[0] or name
