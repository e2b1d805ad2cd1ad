"""Keeping the memory that large messages are built in."""

from __future__ import annotations

# Above the largest message that a protocol builds at once.
_ROOM = 16 << 20


def keep_heap() -> None:
    """Let the C library keep freed memory of up to twice ``_ROOM`` instead of giving it back after every message.

    glibc hands large blocks back to the kernel at once, which then clears each page anew: two thirds of the CPU time of
    an upload. It learns from the first large block that is freed (mallopt(3), M_MMAP_THRESHOLD); other C libraries take
    no notice.
    """
    room = bytes(_ROOM)
    del room
