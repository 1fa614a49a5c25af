"""Fixtures for tests that boot a guest; they skip, with the reason, where none can be booted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from guest.harness import build_foo, headers_of, why_not
from kfgraph.capture.guest import machine
from kfgraph.kernel.images import KernelImage, list_images


@pytest.fixture(scope="session")
def guest_image() -> KernelImage:
    """The kernel that guests boot here: the newest that has its headers, or the one in KFGRAPH_TEST_KERNEL."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    wanted = os.environ.get("KFGRAPH_TEST_KERNEL", "")
    if wanted:
        return machine.choose_image(wanted)
    usable = [image for image in list_images() if not image.obstacles()]
    return next((image for image in usable if headers_of(image)), usable[0])


@pytest.fixture(scope="session")
def foo_ko(guest_image: KernelImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/foo, built for that kernel."""
    if headers_of(guest_image) is None:
        pytest.skip(f"no headers for {guest_image.release}: apt-get install linux-headers-{guest_image.release}")
    try:
        return build_foo(tmp_path_factory.mktemp("foo"), guest_image)
    except RuntimeError as problem:
        if "GLIBC_" not in str(problem) and "unrecognized command-line option" not in str(problem):
            raise
        pytest.skip(f"the headers of {guest_image.release} need a newer compiler and C library than this machine's")
