"""Which HDFS, which directory, as whom, and how long to wait."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from django.conf import settings

from storage.errors import BadPath
from storage.rules import RuleBroken, clean_hdfs_path, clean_name_service

RPC, WEBHDFS = "rpc", "webhdfs"
HTTP_PORT = 9870


@dataclass(frozen=True)
class Target:
    """A directory of an HDFS with one NameNode or two. Times are in seconds.

    ``silence`` is how long a server may say nothing. With simple authentication, which is all that is offered, the
    user is a claim that HDFS believes.
    """

    name_service: str
    addresses: tuple[str, ...]
    rpc_port: int
    path: str
    user: str
    transport: str = RPC
    http_port: int = HTTP_PORT
    connect: float = 10.0
    silence: float = 30.0

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Target:
        """Return the target of a form's values; raise ``BadPath``, whatever the form let pass before.

        ``transport`` (``rpc`` or ``webhdfs``), ``http_port`` and ``username`` may be among the values; the user is
        otherwise ``HDFS_USER`` of the settings or the account that the console runs as, as Hadoop's clients do it.
        """
        field = "target_path"
        try:
            path = clean_hdfs_path(str(parameters["target_path"]))
            field = "name_service"
            name_service = clean_name_service(str(parameters["name_service"]))
        except RuleBroken as broken:
            raise BadPath(str(broken), field=field) from broken
        active, standby = str(parameters["active_ip"]), str(parameters.get("standby_ip") or "")
        return cls(
            name_service=name_service,
            addresses=tuple(dict.fromkeys(_address(active, "active_ip") + _address(standby, "standby_ip"))),
            rpc_port=int(parameters["rpc_port"]),
            path=path,
            user=str(parameters.get("username") or getattr(settings, "HDFS_USER", "") or getpass.getuser()),
            transport=str(parameters.get("transport") or RPC),
            http_port=int(parameters.get("http_port") or HTTP_PORT),
        )

    @property
    def port(self) -> int:
        """The port of the NameNodes that is used."""
        return self.http_port if self.transport == WEBHDFS else self.rpc_port

    @property
    def port_label(self) -> str:
        """How the page calls that port."""
        return "Destination NameNode HTTP Port" if self.transport == WEBHDFS else "Destination NameNode RPC Port"

    @property
    def port_field(self) -> str:
        """The form field of that port."""
        return "http_port" if self.transport == WEBHDFS else "rpc_port"

    def url(self, path: str) -> str:
        """Return a path as it is typed, with the NameService."""
        return f"hdfs://{self.name_service}{path}"

    def host_port(self, address: str) -> str:
        """Return address and port, an IPv6 address in brackets."""
        return f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"


def _address(text: str, field: str) -> tuple[str, ...]:
    """Return an address in its shortest form, in a tuple that is empty where there is none."""
    if not text:
        return ()
    if "%" in text:
        raise BadPath(
            f"{text} is a link-local address, which HDFS cannot use.",
            cure="Give another address of the NameNode.",
            field=field,
        )
    return (str(ip_address(text)),)
