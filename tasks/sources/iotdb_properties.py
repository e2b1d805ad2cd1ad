"""Where an IoTDB keeps its directories, and what it says of itself, read from its property files.

Facts: ``iotdb-system.properties`` since 1.3.3, three files before; the names and defaults of the directories are the
same in all versions since 1.0. Relative directories are relative to the home.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.hosts.base import Host

SYSTEM_FILE = "iotdb-system.properties"
OLDER_FILES = ("iotdb-common.properties", "iotdb-confignode.properties", "iotdb-datanode.properties")
DEFAULTS = {
    "cn_system_dir": "data/confignode/system",
    "cn_consensus_dir": "data/confignode/consensus",
    "dn_system_dir": "data/datanode/system",
    "dn_consensus_dir": "data/datanode/consensus",
    "udf_lib_dir": "ext/udf",
    "trigger_lib_dir": "ext/trigger",
    "pipe_lib_dir": "ext/pipe",
}
_PAIR = re.compile(r"((?:\\.|[^\\=:\s])*)\s*[=:]?\s*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse(text: str) -> dict[str, str]:
    """Return the pairs of a Java property file: comments, continued lines and escapes as Java reads them."""
    pairs = {}
    for line in _logical_lines(text):
        match = _PAIR.fullmatch(line)
        if match is not None:
            pairs[_unescape(match[1])] = _unescape(match[2])
    return pairs


def _logical_lines(text: str) -> Iterator[str]:
    held = ""
    for line in re.split(r"\r\n|\n|\r", text):
        line = line.lstrip(" \t\f")
        if not held and (not line or line[0] in "#!"):
            continue
        if (len(line) - len(line.rstrip("\\"))) % 2:
            held += line[:-1]
            continue
        yield held + line
        held = ""
    if held:
        yield held


def _unescape(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _CONTROL.get(code, code)

    return _ESCAPE.sub(plain, text)


def read(host: Host, path: str) -> dict[str, str] | None:
    """Return the pairs of a file, or None where there is none. Raises OSError where it cannot be read."""
    try:
        file = host.open(host.realpath(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        content = b"".join(iter(lambda: file.read(1 << 16), b""))
    finally:
        file.close()
    return parse(content.decode("utf-8", "surrogateescape"))


@dataclass(frozen=True)
class Layout:
    """The directories of one home, absolute, by the names of their properties.

    ``settings`` are all properties found; ``configured`` is False where no property file was there and the
    directories are the defaults.
    """

    home: str
    directories: dict[str, str]
    settings: dict[str, str]
    configured: bool

    @property
    def conf(self) -> str:
        """The directory of the property files."""
        return os.path.join(self.home, "conf")

    def config_identity(self, host: Host) -> dict[str, str]:
        """What the ConfigNode wrote of itself at its first start. Raises OSError where it cannot be read."""
        return read(host, os.path.join(self.directories["cn_system_dir"], "confignode-system.properties")) or {}

    def data_identity(self, host: Host) -> dict[str, str]:
        """What the DataNode wrote of itself at its first start. Raises OSError where it cannot be read."""
        return read(host, os.path.join(self.directories["dn_system_dir"], "system.properties")) or {}


def read_layout(host: Host, home: str) -> Layout:
    """Return the layout of a home; properties that are missing have their default. Raises OSError."""
    settings = read(host, os.path.join(home, "conf", SYSTEM_FILE))
    configured = settings is not None
    if settings is None:
        settings = {}
        for name in OLDER_FILES:
            older = read(host, os.path.join(home, "conf", name))
            configured = configured or older is not None
            settings |= older or {}
    directories = {
        name: os.path.normpath(os.path.join(home, settings.get(name, "").strip() or default))
        for name, default in DEFAULTS.items()
    }
    return Layout(home, directories, settings, configured)
