"""The keys of the explorer: one table, for the bindings, the footer, ``?`` and the page of docs."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """``keys`` as Textual names them, ``shown`` as a person does; ``action`` is the method ``action_...``. With
    ``footer``, one word, it stands in the last line of the screen."""

    keys: str
    shown: str
    action: str
    words: str
    footer: str = ""


KEYS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    (
        "Move",
        (
            Key("up,k", "↑ k", "move(-1)", "one row up"),
            Key("down,j", "↓ j", "move(1)", "one row down"),
            Key("pageup,ctrl+b", "PgUp Ctrl-B", "page(-1)", "one screen up"),
            Key("pagedown,ctrl+f", "PgDn Ctrl-F", "page(1)", "one screen down"),
            Key("ctrl+u", "Ctrl-U", "page(-0.5)", "half a screen up"),
            Key("ctrl+d", "Ctrl-D", "page(0.5)", "half a screen down"),
            Key("home,g", "Home gg", "first", "the first row"),
            Key("end,G", "End G", "last", "the last row"),
            Key("p", "p", "parent", "the caller"),
        ),
    ),
    (
        "Open and close",
        (
            Key("enter,space", "Enter Space", "open_or_close", "open or close; in a list: go to that call", "open"),
            Key("right,l", "→ l", "right", "open; the first callee where it is open"),
            Key("left,h", "← h", "left", "close; the caller where it is closed"),
            Key("asterisk,E", "* E", "open_all", "open all below"),
            Key("minus,C", "- C", "close_all", "close all below"),
            Key("o", "o", "hot", "open the hot path, down to its leaf", "hot path"),
            Key("z", "z", "zoom", "zoom: only this call and what is below it", "zoom"),
            Key("Z,backspace", "Z Backspace", "unzoom", "back to where the zoom began"),
        ),
    ),
    (
        "Find",
        (
            Key("slash", "/", "search", "search for a name: a regular expression", "search"),
            Key("n", "n", "match(1)", "the next match"),
            Key("N", "N", "match(-1)", "the match before"),
            Key("f", "f", "failing(1)", "the next call that failed", "next error"),
            Key("F", "F", "failing(-1)", "the call before that failed"),
            Key("s", "s", "slow(1)", "the next of the 100 calls with the most self time", "next slow"),
            Key("S", "S", "slow(-1)", "the one before"),
        ),
    ),
    (
        "Arrange",
        (
            Key("m", "m", "group", "fold the calls of one function beside this row into one row each, or unfold them"),
            Key("t", "t", "sort", "callees by time, or in order"),
            Key("x", "x", "hide", "hide all calls of this function, with what is below them"),
            Key("u", "u", "unhide", "show again what was hidden last"),
            Key("a", "a", "beside", "beside the names: results; arguments too; neither"),
            Key("b", "b", "start", "the column of start times"),
            Key("i", "i", "panel", "the panel at the side"),
        ),
    ),
    (
        "Views",
        (
            Key("1", "1", "view('calls')", "every call, in order", "views"),
            Key("2", "2", "view('merged')", "calls with the same path as one row"),
            Key("3", "3", "view('top')", "functions by self time"),
            Key("4", "4", "view('syscalls')", "system calls"),
            Key("5", "5", "view('errors')", "errors: where each began, and how far it came"),
            Key("6", "6", "view('why')", "why the command failed"),
            Key("7", "7", "view('flame')", "a flame graph: arrows go from frame to frame, Enter zooms"),
            Key("8,c", "8 c", "callers", "who calls the function at the cursor, upside down to the task"),
            Key("T", "T", "task", "choose a task, for all views"),
        ),
    ),
    (
        "Take with you",
        (
            Key("y", "y", "copy", "copy the call path (OSC 52: through ssh too)"),
            Key("e", "e", "export", "write what is in view into a file, in a format of other tools", "export"),
            Key("question_mark", "?", "help", "these keys", "keys"),
            Key("q,ctrl+q,ctrl+c", "q Ctrl-C", "leave", "leave", "quit"),
        ),
    ),
)
