"""Call something where no network leads anywhere, not even to this machine's own addresses."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

Result = TypeVar("Result")

CLONE_NEWNET = 0x40000000  # of Linux' unshare(2); Python's own `os.unshare` came with 3.12


def without_network(call: Callable[[], Result]) -> Result:
    """What the call gives, made in a thread whose network namespace has no interface that is up.

    It takes the right to make one, which root has; the test is skipped without.
    """

    def enter() -> int:
        libc = ctypes.CDLL(None, use_errno=True)
        return 0 if libc.unshare(CLONE_NEWNET) == 0 else ctypes.get_errno()

    with ThreadPoolExecutor(1) as thread:
        if number := thread.submit(enter).result():
            pytest.skip(f"no network namespace can be made here: {os.strerror(number)}")
        return thread.submit(call).result()
