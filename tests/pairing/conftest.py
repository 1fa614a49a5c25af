from __future__ import annotations

import pytest

from kfgraph.parse import pairing
from plain import plain, plain_stacks

PLAIN = plain("parse.pairing")
PLAIN.stacks = plain_stacks()
PLAIN.settle = plain("parse.settle")


@pytest.fixture(params=["as installed", "plain"], scope="session")
def pairer_module(request):
    """The pairing module as it is installed (compiled where that worked), and its plain twin."""
    return pairing if request.param == "as installed" else PLAIN
