"""The first step of Verify: does anything answer at the address and port."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Mapping, Sequence

from storage.checks import Check, Endpoint

Failure = tuple[Endpoint, OSError]


def dial(what: str, endpoints: Sequence[Endpoint], labels: Mapping[str, str], limit: float) -> Check:
    """Connect to each endpoint and return one line; it fails where none answers. All take ``limit`` seconds at most.

    ``labels`` are those of the form's fields, by name. Nothing is sent.
    """
    answered: list[tuple[Endpoint, float]] = []
    failures: list[Failure] = []
    for endpoint in endpoints:
        began = time.monotonic()
        try:
            socket.create_connection((endpoint.host, endpoint.port), max(0.2, limit / len(endpoints) - 0.2)).close()
        except OSError as error:
            failures.append((endpoint, error))
        else:
            answered.append((endpoint, time.monotonic() - began))
    words = [f"{endpoint} answered in {max(1, round(seconds * 1000))} ms." for endpoint, seconds in answered]
    words += [_why(*failure) for failure in failures]
    if not failures:
        return Check("ok", what, " ".join(words))
    field, cure = _cure(*failures[0], labels)
    return Check("warning" if answered else "failed", what, " ".join(words), cure, field)


def _why(endpoint: Endpoint, error: OSError) -> str:
    if error.errno == errno.ECONNREFUSED:
        return f"Nothing listens on {endpoint}."
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
        return f"There is no way to {endpoint.host} from this machine."
    return f"{endpoint} did not answer."


def _cure(endpoint: Endpoint, error: OSError, labels: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the field to change, where the form has it, and what to do."""
    host, port = labels.get(endpoint.host_field), labels.get(endpoint.port_field)
    if error.errno == errno.ECONNREFUSED and port:
        return endpoint.port_field, f"Check {port}, and that the service runs on that server."
    field = endpoint.host_field if host else None
    if error.errno == errno.ECONNREFUSED:
        return field, f"Check {host}, and that the service runs on that server."
    return field, f"Check {host}, and that no firewall stands between."
