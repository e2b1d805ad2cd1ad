"""What a fault of a delivery means, in the words of the page, and whether another attempt makes sense. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.conf import settings

from tasks.units import format_duration


class Again(Enum):
    """When another attempt makes sense."""

    SOON = "soon"
    # A refused login: every attempt more may lock the account.
    SLOWLY = "slowly"
    NEVER = "never"


@dataclass(frozen=True)
class Cause:
    """Why a message was not sent, what helps, and when to try again.

    ``of_server`` tells that the mail server or its settings are the cause: no other message gets through either.
    """

    text: str
    cure: str
    again: Again = Again.SOON
    of_server: bool = False


_BUSY = frozenset({408, 425, 429})
_ENDED = "Nothing has to be done: the message is tried again. If it ends each time, look in the server's log."
_CONNECT = {
    "refused": ("{place} refused the connection.", "Check host and port, and whether the service runs there."),
    "unresolved": (
        "The name {host} cannot be resolved.",
        "Check the spelling of the host, and the console's DNS.",
    ),
    "unreachable": ("{place} cannot be reached.", "Check host and port, the network, and firewalls between."),
    "timeout": ("{place} did not answer in time.", "Check host and port, and firewalls between."),
    "broken": (
        "{place} broke the connection off.",
        "Check that port and encryption fit: a server that expects TLS from the start breaks off what comes without.",
    ),
}


def explain(fault: Mapping[str, Any]) -> Cause:
    """Return what ``fault`` (``witness.Fault`` as plain values) means for a person."""
    stage, how, host = fault.get("stage", ""), fault.get("how", ""), fault.get("host", "") or "The server"
    port, status, said = fault.get("port", 0), fault.get("status", 0), fault.get("said", "")
    place = f"{host}:{port}" if port else host
    answered = f"{host} answered {status}{f': {said}' if said else ''}."
    if stage == "url":
        return _of_address(how, said)
    if stage == "policy":
        cure = "Give another address, or ask an administrator for NOTIFY_LOCAL=yes."
        return Cause(f"{host} is {said}. Nothing is sent there.", cure, Again.NEVER)
    if how == "limit":
        limit = format_duration(settings.NOTIFY_SECONDS)
        return Cause(f"The message was not taken within {limit}.", _CONNECT["timeout"][1], of_server=True)
    if how == "ended":
        return Cause("The console's process that sends ended before the server's answer was known.", _ENDED)
    if stage == "connect" and how in _CONNECT:
        text, cure = _CONNECT[how]
        return Cause(text.format(place=place, host=host), cure, of_server=True)
    if stage == "tls":
        return _of_tls(how, place, said, answered)
    if stage == "login":
        return _of_login(how, host, answered)
    if stage == "sender":
        cure = "Give a sender that the mail server accepts from this account."
        return Cause(f"The sender was refused: {answered}", cure, _later(status), of_server=True)
    if stage == "recipient":
        return Cause(f"The recipient was refused: {answered}", "Check the address of the recipient.", _later(status))
    if stage in ("data", "connect"):
        return Cause(answered, "Look in the log of the mail server.", _later(status), of_server=stage == "connect")
    if stage == "http":
        return _of_http(how, status, answered)
    if status:
        return Cause(f"The service did not take the message: {answered}", "Check the address of the channel.")
    return Cause("The service did not take the message.", "Check the address of the channel, and send a test.")


def _later(status: int) -> Again:
    """A mail server means by 4xx that it may work later, by 5xx that it will not (RFC 5321, 4.2.1)."""
    return Again.NEVER if status >= 500 else Again.SOON


def _of_address(how: str, said: str) -> Cause:
    if how == "scheme":
        cure = "Use one of the allowed services, or ask an administrator to add it to NOTIFY_SCHEMES."
        return Cause(f"Messages are not sent to {said}:// addresses.", cure, Again.NEVER)
    if how == "file":
        return Cause(f"{said}= names a file of the console's machine.", f"Take {said}= out of the URL.", Again.NEVER)
    return Cause(
        "The URL is not understood.", "Check it against the description of the service in apprise.", Again.NEVER
    )


def _of_tls(how: str, place: str, said: str, answered: str) -> Cause:
    if how == "certificate":
        cure = "Have the server show a certificate for this name, or name its authority in NOTIFY_CA_FILE."
        return Cause(f"The certificate of {place} is not trusted: {said}.", cure, of_server=True)
    if how == "unsupported":
        cure = "Choose TLS from the start with its port, 465 as a rule, or have STARTTLS enabled there."
        return Cause(f"{place} does not offer STARTTLS. Nothing was sent.", cure, of_server=True)
    text = answered if how == "status" else f"{place} does not speak TLS on this port."
    cure = "Check that port and encryption fit: 587 for STARTTLS, 465 for TLS from the start."
    return Cause(text, cure, of_server=True)


def _of_login(how: str, host: str, answered: str) -> Cause:
    if how == "unsupported":
        cure = "Leave the account empty where the server needs none, or choose an encryption: many ask for it first."
        return Cause(f"{host} does not offer a login here.", cure, Again.SLOWLY, of_server=True)
    if how == "letters":
        cure = "Give the account a password of ASCII letters, digits and signs."
        return Cause(
            "The account or its password has letters that SMTP cannot send.", cure, Again.SLOWLY, of_server=True
        )
    return Cause(
        f"The account or its password was refused: {answered}",
        "Type the account and its password again. Some services want a password made for programs.",
        Again.SLOWLY,
        of_server=True,
    )


def _of_http(how: str, status: int, answered: str) -> Cause:
    if how == "redirect":
        return Cause(
            f"{answered} It leads to another address, which is not followed.", "Give the final address.", Again.NEVER
        )
    if status in (401, 403):
        return Cause(answered, "Check the token or the secret in the address.", Again.NEVER)
    if status in (404, 410):
        return Cause(answered, "Nothing takes messages at this address. Check it, or have it made anew.", Again.NEVER)
    if 400 <= status < 500 and status not in _BUSY:
        return Cause(answered, "Check the address of the channel.", Again.NEVER)
    return Cause(answered, "Look at the service: it could not take the message now.")
