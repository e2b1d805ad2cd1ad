"""What this machine lacks: a test that needs it is left out loudly, and fails where CI=true."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

IN_CI = os.environ.get("CI", "").lower() == "true"
NO_SMALL_DISK = "mounting a small tmpfs needs root and the right to mount"


def leave_out(lack: str) -> NoReturn:
    """Skip the test, saying what lacks; with CI=true fail it."""
    if IN_CI:
        pytest.fail(lack, pytrace=False)
    pytest.skip(lack)
