"""What may stand in the fields of a destination: pure functions, no connection is made.

Each ``clean_…`` returns the value in the form that is stored, or raises ``RuleBroken`` with the sentence that the
administrator reads. Cleaning a cleaned value changes nothing. The rules are those of the seed (admin_guide_000350,
step 7); what it leaves open follows reference/stores.md (Shared path validation) and reference/hdfs.md, 3.5.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

IPV4, IPV6 = "ipv4", "ipv6"
IP_MODES = ((IPV4, "IPv4"), (IPV6, "IPv6"))
_MODE_LABELS = dict(IP_MODES)
_MODE_WORDS = {IPV4: "an IPv4 address", IPV6: "an IPv6 address"}

PATH_LIMIT = 1024
PART_LIMIT = 255

# Directories that HDFS, HBase, Yarn, MapReduce, Hive and Spark use for themselves; a backup among their files would be
# read, moved or removed by them. The seed names the first two and says "such as"; names are compared as HDFS does, with
# case.
SYSTEM_DIRECTORIES = (
    "/hbase",
    "/user/hbase",
    "/apps/hbase",
    "/system",
    "/mr-history",
    "/mapred",
    "/app-logs",
    "/tmp",
    "/user/hive/warehouse",
    "/apps/hive/warehouse",
    "/user/spark/applicationHistory",
    "/spark2xJobHistory2x",
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAME_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,15}\Z")
# What Windows and Samba do not take in a name (MS-FSCC 2.1.5).
_NOT_IN_WINDOWS_NAMES = re.compile(r'[<>:"|?*]')
_WINDOWS_DEVICES = re.compile(r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?\Z")
_EXAMPLE = "/srv/backup/iotdb"


class RuleBroken(ValueError):
    """A value that cannot be used; the text says why and what to do."""


def clean_host(text: str) -> str:
    """Return a host name or an address in its shortest form; raise ``RuleBroken`` for what is neither."""
    host = text.strip().rstrip(".")
    if ":" in host or re.fullmatch(r"[0-9.]+", host):
        address = _parse(host)
        _refuse_many(address)
        if isinstance(address, IPv6Address):
            _check_zone(address)
        return str(address)
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise RuleBroken("This is neither a host name nor an address. Give for example iotdb-2.example or 10.1.2.3.")
    return host


def clean_address(text: str, mode: str) -> str:
    """Return an address in its shortest form; raise ``RuleBroken`` unless it is one host's address of ``mode``.

    ``mode`` is ``ipv4`` or ``ipv6``. A loopback address is allowed: a server on the management node is a real, if
    weak, destination.
    """
    address = _parse(text.strip())
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise RuleBroken(
            f"{text.strip()} is an IPv4 address written as IPv6. Give {address.ipv4_mapped} and set IP Mode to IPv4."
        )
    found = IPV4 if address.version == 4 else IPV6
    if found != mode:
        raise RuleBroken(
            f"{text.strip()} is {_MODE_WORDS[found]} but IP Mode is {_MODE_LABELS.get(mode, mode)}. Change one of them."
        )
    _refuse_many(address)
    if isinstance(address, IPv6Address):
        _check_zone(address)
    return str(address)


def _parse(text: str) -> IPv4Address | IPv6Address:
    if not text:
        raise RuleBroken("Give the IP address of the server.")
    if text.startswith("[") or "/" in text:
        raise RuleBroken(f"{text} is more than an address. Give the address only, without brackets, port or mask.")
    try:
        return ip_address(text)
    except ValueError:
        raise RuleBroken(
            f"{text} is not an IP address. Give one such as 10.20.4.18 or fd12:20::18; host names are not used here."
        ) from None


def _refuse_many(address: IPv4Address | IPv6Address) -> None:
    """Refuse what names no host, or many."""
    if address.is_unspecified:
        raise RuleBroken(f"{address} stands for no address at all. Give the address of the server.")
    if address.is_multicast or address == IPv4Address("255.255.255.255"):
        raise RuleBroken(f"{address} reaches a group of hosts. Give the address of one server.")


def _check_zone(address: IPv6Address) -> None:
    """A zone goes with a link-local address, and a link-local address cannot be reached without one."""
    if address.is_link_local and not address.scope_id:
        raise RuleBroken(f"{address} is a link-local address. Add the network interface, for example {address}%eth0.")
    if address.scope_id and not (address.is_link_local and _ZONE.match(address.scope_id)):
        raise RuleBroken(f"{address} has a zone after %, which only link-local addresses have. Leave it out.")


def clean_shared_path(text: str) -> str:
    """Return an absolute path below the root without doubled or trailing slashes, every other character kept.

    Blanks at its end belong to the name and stay.
    """
    if "\\" in text:
        raise RuleBroken(f"The path has a backslash in it. Part directories with /, for example {_EXAMPLE}.")
    if _CONTROL.search(text):
        raise RuleBroken("The path has a control character in it. Type it again without.")
    if not text.startswith("/"):
        raise RuleBroken(f"The path does not begin with /. Give an absolute path, for example {_EXAMPLE}.")
    return "/" + "/".join(_parts(text, _EXAMPLE))


def _parts(text: str, example: str) -> list[str]:
    """Return the names of a path, at least one, none of them leading elsewhere."""
    parts = [part for part in text.split("/") if part]
    if all(part == "." for part in parts):
        raise RuleBroken(f"The root directory cannot be used. Give a directory below it, for example {example}.")
    if "." in parts or ".." in parts:
        raise RuleBroken("The path has a part . or .. in it. Give the path without them.")
    if len(text) > PATH_LIMIT:
        raise RuleBroken(f"The path has {len(text)} characters. Use at most {PATH_LIMIT}.")
    if any(len(part.encode(errors="surrogatepass")) > PART_LIMIT for part in parts):
        raise RuleBroken(f"One directory of the path has a name of more than {PART_LIMIT} bytes. Shorten it.")
    return parts


def clean_cifs_path(text: str) -> str:
    r"""Return ``/share/path``; ``share\path`` and ``\share\path`` are understood as well.

    The first part is the share. Names follow the rules of Windows servers, which drop a dot or a blank at the end of a
    name and would so store the files elsewhere than the console says.
    """
    example = "/backup/iotdb"
    if _CONTROL.search(text):
        raise RuleBroken("The path has a control character in it. Type it again without.")
    slashed = text.replace("\\", "/")
    if slashed.startswith("//") and slashed.strip("/"):
        raise RuleBroken(
            f"The path begins with the name of a server, which has a field of its own. Give share and path only, "
            f"for example {example}."
        )
    if not slashed.strip("/ "):
        raise RuleBroken(f"The root directory cannot be used. Name a share, for example {example}.")
    parts = _parts(slashed, example)
    for part in parts:
        _check_windows_name(part)
    if parts[0].upper() == "IPC$":
        raise RuleBroken("IPC$ cannot hold files. Name another share.")
    return "/" + "/".join(parts)


def _check_windows_name(part: str) -> None:
    bad = _NOT_IN_WINDOWS_NAMES.search(part)
    if bad:
        raise RuleBroken(f"{part} has {bad.group()} in it, which CIFS servers do not take in names. Leave it out.")
    if part != part.strip(" ") or part.endswith("."):
        raise RuleBroken(f"“{part}” begins or ends with a blank, or ends with a dot. Servers drop these: leave it out.")
    if _WINDOWS_DEVICES.match(part):
        raise RuleBroken(f"{part} is a name that Windows servers keep for devices. Choose a different directory.")


def clean_hdfs_path(text: str) -> str:
    """Return a target path on HDFS: absolute, not the root, no hidden directory, no system directory nor below one."""
    example = "/backup/iotdb"
    if "\\" in text or ":" in text:
        raise RuleBroken(r"The path has \ or : in it, which HDFS does not take in names. Leave it out.")
    if _CONTROL.search(text):
        raise RuleBroken("The path has a control character in it. Type it again without.")
    if not text.startswith("/"):
        raise RuleBroken(f"The path does not begin with /. Give an absolute path, for example {example}.")
    parts = _parts(text, example)
    hidden = next((part for part in parts if part.startswith(".")), None)
    if hidden:
        raise RuleBroken(
            f"{hidden} is a hidden directory of HDFS and cannot be used. "
            f"Give a directory of your own, for example {example}."
        )
    path = "/" + "/".join(parts)
    for system in SYSTEM_DIRECTORIES:
        if path == system or path.startswith(f"{system}/"):
            raise RuleBroken(
                f"{system} is a default system directory and cannot be used. "
                f"Give a directory of your own, for example {example}."
            )
    return path


def clean_name_service(text: str) -> str:
    """Return the name of a NameService, which becomes part of configuration keys and of ``hdfs://`` addresses."""
    name = text.strip()
    if not _NAME_SERVICE.match(name):
        raise RuleBroken(
            "Use letters, digits, dot, underscore and hyphen only, at most 64 of them, for example hacluster."
        )
    return name


def clean_username(text: str) -> str:
    """Return a user name; a domain before ``\\`` or after ``@`` is part of it."""
    name = text.strip()
    if _CONTROL.search(name):
        raise RuleBroken("The user name has a control character in it. Type it again without.")
    return name
