"""What lies over the explorer for a while: the keys, a choice, a question."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from kfgraph.model.spelling import spelt_out
from kfgraph.render.explorer.keys import KEYS

_CSS = """
{name} {{ align: center middle; }}
{name} > * {{ width: 80; max-width: 95%; height: auto; max-height: 95%; border: solid ansi_blue; padding: 0 1;
    background: ansi_default; scrollbar-size-vertical: 1; }}
"""


def keys_text() -> Text:
    """Every key, by what it is for."""
    text = Text(no_wrap=True)
    wide = max(len(key.shown) for _, keys in KEYS for key in keys)
    for title, keys in KEYS:
        text.append(f"{title}\n", "bold")
        for key in keys:
            text.append(f"  {key.shown:<{wide}}  ", "bold")
            text.append(f"{key.words}\n")
    text.append("The mouse: a click puts the cursor there, another opens or closes; the wheel scrolls.\n")
    text.append("Marks beside names are those of kfgraph show: docs/ui.md", "dim")
    return text


class HelpScreen(ModalScreen[None]):
    """The keys."""

    DEFAULT_CSS = _CSS.format(name="HelpScreen")
    BINDINGS = [  # noqa: RUF012
        Binding("escape,q,question_mark,enter,space", "dismiss", show=False),
        Binding("ctrl+c", "app.leave", show=False),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def compose(self) -> ComposeResult:
        """One text that scrolls."""
        with VerticalScroll():
            yield Static(keys_text())

    def action_scroll(self, step: int) -> None:
        """Some lines on."""
        self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)


class PickScreen(ModalScreen[int]):
    """One of several: its number; None where nothing was chosen."""

    DEFAULT_CSS = _CSS.format(name="PickScreen") + """
PickScreen OptionList, PickScreen OptionList:focus {
    border: none; padding: 0; height: auto; max-height: 100%; background: ansi_default; scrollbar-size-vertical: 1;
}
"""
    BINDINGS = [  # noqa: RUF012
        Binding("escape,q", "dismiss", show=False),
        # Typed ahead, before the list takes keys.
        Binding("enter", "choose", show=False),
        Binding("j", "move('down')", show=False),
        Binding("k", "move('up')", show=False),
    ]

    def __init__(self, title: str, choices: Sequence[Text]) -> None:
        super().__init__()
        self._title, self._choices = title, choices

    def compose(self) -> ComposeResult:
        """A title, and the choices."""
        with Vertical():
            yield Static(Text(spelt_out(self._title), "bold"))
            yield OptionList(*(Option(choice, id=str(i)) for i, choice in enumerate(self._choices)), markup=False)

    def action_move(self, way: str) -> None:
        """As with the arrows."""
        choices = self.query_one(OptionList)
        choices.action_cursor_down() if way == "down" else choices.action_cursor_up()

    def action_choose(self) -> None:
        """The one that is highlighted."""
        self.dismiss(self.query_one(OptionList).highlighted or 0)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)


class AskScreen(ModalScreen[str]):
    """A line of text; None where nothing was typed."""

    DEFAULT_CSS = _CSS.format(name="AskScreen")
    BINDINGS = [Binding("escape", "dismiss", show=False)]  # noqa: RUF012

    def __init__(self, title: str, value: str, hint: Text) -> None:
        super().__init__()
        self._title, self._value, self._hint = title, value, hint

    def compose(self) -> ComposeResult:
        """What is asked, the line, and what may stand there."""
        with Vertical():
            yield Static(Text(spelt_out(self._title), "bold"))
            yield Input(self._value, compact=True)
            yield Static(self._hint)

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)
