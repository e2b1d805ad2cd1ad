"""Headers of tar members: ustar (POSIX.1-1988), and a PAX record (POSIX.1-2001) only where ustar cannot say it.

PAX is used for names that fit neither the 100 bytes nor the split at a slash into 155 and 100 bytes, link targets
above 100 bytes, sizes from 8 GiB, user and group ids above 2097151, and times before 1970 or after 2242. Names are
bytes: UTF-8 as it is, and bytes that are not UTF-8 unchanged, as GNU tar writes and reads them.
"""

from __future__ import annotations

import grp
import os
import pwd
from functools import lru_cache
from typing import NamedTuple
from zlib import adler32

from .blocks import Damage

RECORD = 512  # bytes; everything in a tar is padded to it
ZEROS = bytes(RECORD)
END = bytes(2 * RECORD)
FILE, SYMLINK, DIRECTORY, EXTENDED = b"0", b"2", b"5", b"x"
MAGIC = b"ustar\x0000"

_MAX_ID = 0o7777777
_MAX_OCTAL = 0o77777777777  # sizes in bytes and times in seconds
_EXTENDED_NAME = b"././@PaxHeader"


def encode_name(name: str) -> bytes:
    """Return the bytes of a member name or link target; surrogates stand for bytes that are not UTF-8 (PEP 383)."""
    return name.encode("utf-8", "surrogateescape")


def decode_name(name: bytes) -> str:
    """Return a member name or link target as ``encode_name`` takes it."""
    return name.decode("utf-8", "surrogateescape")


def padding(size: int) -> int:
    """Return how many zero bytes follow ``size`` bytes of data."""
    return -size & (RECORD - 1)


def checksum(header: bytes) -> int:
    """Return the sum of the 512 bytes of a header, its own checksum field counted as blanks."""
    return _sum(header[:148]) + 8 * ord(" ") + _sum(header[156:356]) + _sum(header[356:])


def _sum(data: bytes) -> int:
    """Return the sum of up to 256 bytes; Adler-32 has it, plus one, in its low half, and is faster than ``sum``."""
    return (adler32(data) & 0xFFFF) - 1


class Attributes(NamedTuple):
    """Permission bits, time of the last change in whole seconds since the epoch, and owner.

    The names of an owner who is ``foreign``, of another machine, are not known: those of the same numbers here are not
    put into the archive, as tar goes by names first when it unpacks.
    """

    mode: int
    mtime: int
    uid: int
    gid: int
    nanoseconds: int = 0  # on top of mtime; kept only where an extended header is needed anyway
    foreign: bool = False


def attributes_of(stat: os.stat_result | Attributes) -> Attributes:
    """Return what a header says of a file; the time is rounded down to a second as ustar keeps it."""
    if isinstance(stat, Attributes):
        return stat
    mtime, nanoseconds = divmod(stat.st_mtime_ns, 1_000_000_000)
    return Attributes(stat.st_mode & 0o7777, mtime, stat.st_uid, stat.st_gid, nanoseconds)


def own_attributes(mtime: int) -> Attributes:
    """Return what is said of a file made by this process itself: mode 0600, and its own user and group."""
    return Attributes(0o600, mtime, os.geteuid(), os.getegid())


def member_header(name: bytes, size: int, about: Attributes, kind: bytes = FILE, target: bytes = b"") -> bytes:
    """Return the header of a member: 512 bytes, or 1,536 and more where it takes an extended header before it."""
    mode, mtime, uid, gid, nanoseconds, foreign = about
    prefix = b""
    extended: list[tuple[bytes, bytes]] = []
    if len(name) > 100:
        prefix, name = _split(name, extended)
    if len(target) > 100:
        extended.append((b"linkpath", target))
        target = target[:100]
    if size > _MAX_OCTAL:
        extended.append((b"size", b"%d" % size))
        size = 0
    if uid > _MAX_ID or gid > _MAX_ID:
        extended.extend([(b"uid", b"%d" % uid), (b"gid", b"%d" % gid)])
    if extended or not 0 <= mtime <= _MAX_OCTAL:
        extended.append((b"mtime", _exact_time(mtime, nanoseconds)))
        mtime = min(max(mtime, 0), _MAX_OCTAL)
    tail, tail_sum = _tail(kind, -1 if foreign else uid, -1 if foreign else gid, target, prefix)
    head = b"%b%b%011o\0%011o\0" % (name.ljust(100, b"\0"), _ids(mode, uid, gid), size, mtime)
    header = b"%b%06o\0 %b" % (head, _sum(head) + tail_sum, tail)
    return _extended_header(extended) + header if extended else header


def parse_extended(data: bytes) -> dict[bytes, bytes]:
    """Return the records of an extended header; raises Damage where they are not well formed."""
    records: dict[bytes, bytes] = {}
    while data:
        digits, _, _ = data.partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        body, data = data[len(digits) + 1 : length], data[length:]
        key, equals, value = body.partition(b"=")
        if not (equals and value.endswith(b"\n")):
            raise Damage("an extended header is not well formed")
        records[key] = value[:-1]
    return records


def _split(name: bytes, extended: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Return prefix and name; where no slash divides it well the whole goes into an extended header."""
    slash = name.rfind(b"/", 1, min(156, len(name) - 1))
    if slash > 0 and len(name) - slash - 1 <= 100:
        return name[:slash], name[slash + 1 :]
    extended.append((b"path", name))
    return b"", name[-100:].lstrip(b"/")


@lru_cache(maxsize=1024)
def _ids(mode: int, uid: int, gid: int) -> bytes:
    """Return mode and ids as fields of a header; ids that are too big for it are given as zero."""
    return b"%07o\0%07o\0%07o\0" % (mode, uid if uid <= _MAX_ID else 0, gid if gid <= _MAX_ID else 0)


@lru_cache(maxsize=1024)
def _tail(kind: bytes, uid: int, gid: int, target: bytes, prefix: bytes) -> tuple[bytes, int]:
    """Return what follows the checksum of a header, and what it and the checksum's own blanks add to the sum."""
    names = _user_name(uid).ljust(32, b"\0") + _group_name(gid).ljust(32, b"\0") + b"0000000\x000000000\0"
    tail = kind + target.ljust(100, b"\0") + MAGIC + names + prefix.ljust(167, b"\0")
    return tail, _sum(tail[:200]) + _sum(tail[200:]) + 8 * ord(" ")


def _exact_time(mtime: int, nanoseconds: int) -> bytes:
    """Return a time as a decimal; GNU tar compares it to the nanosecond where there is an extended header."""
    if not nanoseconds:
        return b"%d" % mtime
    seconds, fraction = divmod(abs(mtime * 1_000_000_000 + nanoseconds), 1_000_000_000)
    return b"%b%d.%09d" % (b"-" if mtime < 0 else b"", seconds, fraction)


def _user_name(uid: int) -> bytes:
    try:
        return _fitting(pwd.getpwuid(uid).pw_name) if uid >= 0 else b""
    except (KeyError, OverflowError):
        return b""


def _group_name(gid: int) -> bytes:
    try:
        return _fitting(grp.getgrgid(gid).gr_name) if gid >= 0 else b""
    except (KeyError, OverflowError):
        return b""


def _fitting(name: str) -> bytes:
    encoded = encode_name(name)
    return encoded if len(encoded) < 32 else b""


def _extended_header(records: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(_record(key, value) for key, value in records)
    head = member_header(_EXTENDED_NAME, len(body), Attributes(0o644, 0, 0, 0), EXTENDED)
    return head + body + bytes(padding(len(body)))


def _record(key: bytes, value: bytes) -> bytes:
    """Return one record; its length counts itself."""
    rest = b" %b=%b\n" % (key, value)
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d%b" % (length, rest)
