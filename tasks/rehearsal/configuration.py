"""The configuration of a scratch home: as recorded, but for where it keeps its files and how much memory it takes."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tasks.sources.iotdb_properties import DEFAULTS, OLDER_FILES, SYSTEM_FILE, parse

# All directories that a release up to 2.0 has in its templates; others are found by their names.
DIRECTORIES = DEFAULTS | {
    "cn_pipe_receiver_file_dir": "data/confignode/system/pipe/receiver",
    "dn_data_dirs": "data/datanode/data",
    "dn_wal_dirs": "data/datanode/wal",
    "dn_tracing_dir": "datanode/tracing",
    "dn_sync_dir": "data/datanode/sync",
    "dn_pipe_receiver_file_dirs": "data/datanode/system/pipe/receiver",
    "sort_tmp_dir": "data/datanode/tmp",
    "load_active_listening_dirs": "ext/load/pending",
    "load_active_listening_fail_dir": "ext/load/failed",
}
# With the default of 16 MB a data region a small heap soon has no DataRegionGroup to offer.
SMALL = {"wal_buffer_size_in_byte": "1048576", "cn_metric_reporter_list": "", "dn_metric_reporter_list": ""}
# Services besides the two roles that would want directories or peers of their own; and series that nobody created: at
# its start a server makes up for continuous queries that are due, and their results would be counted (2.0.1-beta).
OFF = dict.fromkeys(
    ("enable_rest_service", "enable_mqtt_service", "enable_influxdb_rpc_service", "enable_auto_create_schema"), "false"
)
_DIRECTORY = re.compile(r"(?:.*_)?dirs?")
_TELLING = re.compile(r"(?:cn|dn)_(?:\w+_)?address|\w*seed_config_nodes?|cn_target_config_node_list|config_node_list")
_WILDCARDS = {"0.0.0.0", "::"}


class Places(NamedTuple):
    """What a service wants of its network: IP addresses, and host names that stand for one."""

    addresses: frozenset[str]
    names: frozenset[str]


class Configured(NamedTuple):
    """A scratch configuration: its properties now, and the absolute directories that were recorded in their stead."""

    settings: dict[str, str]
    elsewhere: tuple[str, ...]


def rewrite(home: str) -> Configured:
    """Change the property files of a scratch home so that it keeps to itself.

    Addresses, ports, protocols and replication factors stay as they were recorded: IoTDB insists on them. A home
    without property files gets one. Raises OSError.
    """
    conf = os.path.join(home, "conf")
    if os.path.islink(conf):
        # Never write where a link of the archive leads: that may be the configuration of a live IoTDB.
        os.unlink(conf)
    os.makedirs(conf, mode=0o700, exist_ok=True)
    files = [name for name in (*OLDER_FILES, SYSTEM_FILE) if os.path.lexists(os.path.join(conf, name))]
    settings: dict[str, str] = {}
    elsewhere: list[str] = []
    for name in files or [SYSTEM_FILE]:
        path = os.path.join(conf, name)
        recorded = _recorded(path)
        elsewhere += _absolute(recorded)
        settings |= recorded
        settings |= own(home, settings)
        _write(path, settings)
    return Configured(settings, tuple(dict.fromkeys(elsewhere)))


def own(home: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the properties that a scratch home has instead of its own."""
    directories = {name: os.path.join(home, place) for name, place in DIRECTORIES.items()}
    for name in settings:
        if name not in DIRECTORIES and _DIRECTORY.fullmatch(name):
            directories[name] = os.path.join(home, "other", name)
    return directories | SMALL | OFF


def places(settings: Iterable[Mapping[str, str]]) -> Places:
    """Return the addresses and host names in properties; loopback and wildcard addresses are there anyway."""
    addresses: set[str] = set()
    names: set[str] = set()
    for pairs in settings:
        for name, value in pairs.items():
            for host in _hosts(value) if _TELLING.fullmatch(name) else ():
                (addresses if _is_address(host) else names).add(host)
    return Places(frozenset(filter(_needed, addresses)), frozenset(names - {"localhost"}))


def rpc_endpoint(settings: Mapping[str, str]) -> tuple[str, int]:
    """Return where a DataNode with these properties takes Sessions."""
    host = settings.get("dn_rpc_address", "").strip() or "127.0.0.1"
    port = settings.get("dn_rpc_port", "").strip()
    return ("127.0.0.1" if host in _WILDCARDS else host, int(port) if port.isdecimal() else 6667)


def _absolute(settings: Mapping[str, str]) -> list[str]:
    """Return the absolute directories in properties, lists of them and tiers of lists taken apart."""
    values = (value for name, value in settings.items() if _DIRECTORY.fullmatch(name))
    parts = (part.strip() for value in values for part in re.split("[,;]", value))
    return [part for part in parts if part.startswith("/")]


def _hosts(value: str) -> Iterable[str]:
    """Yield the hosts in ``host``, ``host:port``, ``[v6]:port``, and lists of them, numbered or not."""
    for part in re.split(r"[,;\s]+", value.strip()):
        if not part or part.isdecimal():
            continue
        if _is_address(part):
            yield part
        elif match := re.fullmatch(r"\[?([^\[\]]+?)\]?(?::\d+)?", part):
            yield match[1]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _needed(address: str) -> bool:
    return address not in _WILDCARDS and not ipaddress.ip_address(address).is_loopback


def _recorded(path: str) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return parse(file.read())
    except FileNotFoundError:
        return {}


def _write(path: str, settings: Mapping[str, str]) -> None:
    """Write a property file anew; a link in its place is replaced, never followed."""
    text = "".join(f"{_escaped(name, key=True)}={_escaped(value)}\n" for name, value in sorted(settings.items()))
    fresh = f"{path}.rehearsal"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.replace(fresh, path)


def _escaped(text: str, *, key: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return re.sub(r"([ =:#!])", r"\\\1", text) if key else re.sub(r"^ ", r"\\ ", text)
