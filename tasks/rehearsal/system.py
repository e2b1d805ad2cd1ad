"""The few calls of the kernel that Python has no functions for: mounts, addresses of the loopback, rights given up."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import ipaddress
import os
import signal
import socket
import struct
import time

_libc = ctypes.CDLL(None, use_errno=True)

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC, MS_RELATIME = 1024, 2048, 4096, 16384, 1 << 21
# Flags of a mount that a remount in a user namespace has to repeat, by their names in /proc/self/mountinfo.
_KEPT = {
    "nosuid": MS_NOSUID,
    "nodev": MS_NODEV,
    "noexec": MS_NOEXEC,
    "noatime": MS_NOATIME,
    "nodiratime": MS_NODIRATIME,
    "relatime": MS_RELATIME,
}
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
_SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCGIFINDEX = 0x8916, 0x891C, 0x8913, 0x8914, 0x8933
_IFF_UP = 1
_CLONE_NEWNET = 0x40000000
_DOUBLES_SECONDS = 5.0
_CAPABILITIES_V3 = 0x20080522


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Call mount(2). Raises OSError that names the target."""
    words = [os.fsencode(word) or None for word in (source, target, kind)]
    if _libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(data) or None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def mounts() -> list[tuple[str, int, bool]]:
    """Return place, flags worth keeping, and whether it is read-only, of each mount that this process sees."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split(" ")
            options = fields[5].split(",")
            place = fields[4].encode("utf-8", "surrogateescape").decode("unicode_escape")
            place = place.encode("latin-1").decode("utf-8", "surrogateescape")
            flags = sum(flag for name, flag in _KEPT.items() if name in options)
            found.append((place, flags, "ro" in options))
    return found


def end_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that started it dies, however it dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def give_up_rights() -> None:
    """Give up every capability, for this process and whatever it starts, so that no mount can be undone."""
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) and ctypes.get_errno() == errno.EINVAL:
            break
    head = struct.pack("=II", _CAPABILITIES_V3, 0)
    if _libc.capset(head, bytes(24)):
        raise OSError(ctypes.get_errno(), "capset")


def new_network() -> None:
    """Put the calling thread into a new network namespace. Raises OSError."""
    if _libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a further network namespace")


def enter_network(descriptor: int) -> None:
    """Put the calling thread into the network namespace of ``descriptor``. Raises OSError."""
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "entering a network namespace")


def loopback_up() -> None:
    """Bring the loopback interface up. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        answer = fcntl.ioctl(link, _SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack_from("16xh", answer)[0]
        fcntl.ioctl(link, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def add_address(address: str, number: int) -> None:
    """Give the loopback interface one more address; ``number`` is a different one for each. Raises OSError."""
    packed = ipaddress.ip_address(address).packed
    if len(packed) == 4:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            alias = b"lo:%d" % number
            for request, value in ((_SIOCSIFADDR, packed), (_SIOCSIFNETMASK, b"\xff" * 4)):
                fcntl.ioctl(link, request, struct.pack("16sHH4s8x", alias, socket.AF_INET, 0, value))
        return
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as link:
        index = struct.unpack_from("16xi", fcntl.ioctl(link, _SIOCGIFINDEX, struct.pack("16s16x", b"lo")))[0]
        fcntl.ioctl(link, _SIOCSIFADDR, struct.pack("16sIi", packed, 128, index))
    _wait_for(address)


def _wait_for(address: str) -> None:
    """Wait until an IPv6 address can be listened on: the kernel first looks, in the background, for doubles."""
    end = time.monotonic() + _DOUBLES_SECONDS
    while True:
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as trial:
                return trial.bind((address, 0))
        except OSError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.05)
