"""Being somebody else: a command that runs as an account without privileges, which still finds Python and the code."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.rehearsal import outside

NOBODY = 65534
_CODE = """
import os, sys
sys.path.insert(0, {root!r})
from tasks.rehearsal import isolation
for closed in {closed!r}:
    isolation._hide(closed, {seen!r})
os.setgroups([])
os.setgid({nobody})
os.setuid({nobody})
os.execvp(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def as_nobody(*seen: str) -> Iterator[tuple[list[str], str]]:
    """Give what stands before a command to run it as nobody, and a directory that belongs to nobody.

    In a mount namespace of its own the way to Python, the code and the places ``seen`` is open, and nothing else of the
    closed directories on that way is there. Only root can do this.
    """
    wanted = [os.path.realpath(path) for path in (*seen, sys.prefix, sys.base_prefix, str(outside.ROOT))]
    closed = sorted({str(parent) for path in wanted for parent in Path(path).parents if not parent.stat().st_mode & 1})
    closed = [path for path in closed if not any(path.startswith(f"{other}/") for other in closed)]
    code = _CODE.format(root=str(outside.ROOT), closed=closed, seen=wanted, nobody=NOBODY)
    place = tempfile.mkdtemp(prefix="rehearsal-nobody-")
    try:
        os.chown(place, NOBODY, NOBODY)
        yield ["unshare", "--mount", sys.executable, "-c", code], place
    finally:
        shutil.rmtree(place, ignore_errors=True)
