"""Fixtures for tests that boot a guest; they skip, with the reason, where none can be booted."""

from __future__ import annotations

from pathlib import Path

import pytest

from guest.harness import build_foo, why_not
from kfgraph.capture import guest
from kfgraph.kernel.images import KernelImage


@pytest.fixture(scope="session")
def guest_image() -> KernelImage:
    """The kernel that guests boot here."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    return guest.choose_image()


@pytest.fixture(scope="session")
def foo_ko(guest_image: KernelImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/foo, built for that kernel."""
    headers = Path("/lib/modules") / guest_image.release / "build"
    if not headers.is_dir():
        pytest.skip(f"no headers for {guest_image.release}: apt-get install linux-headers-{guest_image.release}")
    return build_foo(tmp_path_factory.mktemp("foo"), guest_image.release)
