"""What each fault means: cause, cure, whether to try again, and whose fault it is; and which addresses are allowed."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tasks.notify import policy
from tasks.notify.causes import Again, explain
from tasks.notify.channels import masked, webhook_parcel
from tasks.notify.witness import Fault
from tests.lacks import leave_out

# fault: (words of the cause, words of the cure, when to try again, whether the mail server is the cause).
CAUSES: list[tuple[dict[str, Any], str, str, Again, bool]] = [
    ({"stage": "connect", "how": "refused", "port": 25}, "mail:25 refused", "port", Again.SOON, True),
    ({"stage": "connect", "how": "unresolved"}, "name mail cannot be resolved", "DNS", Again.SOON, True),
    ({"stage": "connect", "how": "unreachable"}, "cannot be reached", "network", Again.SOON, True),
    ({"stage": "connect", "how": "timeout"}, "did not answer in time", "firewalls", Again.SOON, True),
    ({"stage": "connect", "how": "broken"}, "broke the connection off", "encryption", Again.SOON, True),
    ({"stage": "connect", "how": "limit"}, "not taken within 20 s", "firewalls", Again.SOON, True),
    ({"stage": "connect", "how": "ended"}, "process that sends ended", "tried again", Again.SOON, False),
    ({"stage": "connect", "how": "status", "status": 554}, "answered 554", "log", Again.NEVER, True),
    ({"stage": "tls", "how": "certificate", "said": "self-signed"}, "self-signed", "NOTIFY_CA_FILE", Again.SOON, True),
    ({"stage": "tls", "how": "unsupported"}, "does not offer STARTTLS", "465", Again.SOON, True),
    ({"stage": "tls", "how": "broken"}, "does not speak TLS", "587", Again.SOON, True),
    ({"stage": "tls", "how": "status", "status": 454}, "answered 454", "587", Again.SOON, True),
    ({"stage": "login", "how": "status", "status": 535}, "password was refused", "again", Again.SLOWLY, True),
    ({"stage": "login", "how": "unsupported"}, "does not offer a login", "empty", Again.SLOWLY, True),
    ({"stage": "login", "how": "letters"}, "letters that SMTP cannot send", "ASCII", Again.SLOWLY, True),
    ({"stage": "sender", "how": "status", "status": 550}, "sender was refused", "sender", Again.NEVER, True),
    ({"stage": "recipient", "how": "status", "status": 450}, "recipient was refused", "address", Again.SOON, False),
    ({"stage": "recipient", "how": "status", "status": 550}, "recipient was refused", "address", Again.NEVER, False),
    ({"stage": "data", "how": "status", "status": 452}, "answered 452", "log", Again.SOON, False),
    ({"stage": "data", "how": "status", "status": 552}, "answered 552", "log", Again.NEVER, False),
    ({"stage": "http", "how": "status", "status": 401}, "answered 401", "token", Again.NEVER, False),
    ({"stage": "http", "how": "status", "status": 404}, "answered 404", "made anew", Again.NEVER, False),
    ({"stage": "http", "how": "status", "status": 400}, "answered 400", "address", Again.NEVER, False),
    ({"stage": "http", "how": "status", "status": 429}, "answered 429", "now", Again.SOON, False),
    ({"stage": "http", "how": "status", "status": 503, "said": "busy"}, "503: busy.", "now", Again.SOON, False),
    ({"stage": "http", "how": "redirect", "status": 302}, "not followed", "final", Again.NEVER, False),
    ({"stage": "policy", "said": "a link-local address"}, "link-local", "NOTIFY_LOCAL", Again.NEVER, False),
    ({"stage": "url", "how": "scheme", "said": "syslog"}, "syslog://", "NOTIFY_SCHEMES", Again.NEVER, False),
    ({"stage": "url", "how": "file", "said": "template"}, "template= names a file", "out of", Again.NEVER, False),
    ({"stage": "url", "how": "unknown"}, "not understood", "apprise", Again.NEVER, False),
    ({"stage": "service", "status": 200, "said": "no_channel"}, "200: no_channel", "address", Again.SOON, False),
    ({"stage": "service"}, "did not take the message.", "test", Again.SOON, False),
]


@pytest.mark.parametrize("fault,text,cure,again,of_server", CAUSES)
def test_every_fault_has_a_cause_and_a_cure(
    fault: dict[str, Any], text: str, cure: str, again: Again, of_server: bool
) -> None:
    found = explain({"host": "mail"} | fault)
    assert text in found.text and cure in found.cure
    assert (found.again, found.of_server) == (again, of_server)


@pytest.mark.parametrize("address,local,refused", [
    ("127.0.0.1", False, True), ("127.0.0.1", True, False), ("127.9.9.9", False, True), ("::1", False, True),
    ("169.254.169.254", True, True), ("fe80::1%eth0", True, True), ("::ffff:169.254.169.254", True, True),
    ("::ffff:127.0.0.1", False, True), ("64:ff9b::7f00:1", False, True), ("2002:7f00:1::", False, True),
    ("0.0.0.0", True, True), ("::", True, True), ("224.0.0.1", True, True), ("255.255.255.255", True, True),
    ("10.1.2.3", False, False), ("192.168.7.9", False, False), ("203.0.113.7", False, False),
    ("2001:db8::1", False, False), ("fd12::1", False, False),
])  # fmt: skip
def test_which_addresses_are_allowed(address: str, local: bool, refused: bool) -> None:
    assert bool(policy.refusal(address, local=local)) == refused


def test_an_own_address_of_the_machine_is_as_local_as_its_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # No packet is sent by this; the kernel only chooses the address it would send from.
            probe.connect(("203.0.113.1", 9))
        except OSError:
            leave_out("this machine has no address but its loopback")
        own = probe.getsockname()[0]
    assert policy.refusal(own, local=False) == "an address of the console's own machine"
    assert policy.refusal(own, local=True) == ""


def test_what_a_server_says_is_cut_cleaned_and_holds_no_secret() -> None:
    fault = Fault("http", "status", said="no\x1b[31m\r\nhunter2-token " + "x" * 999)
    said = fault.told(["hunter2-token", ""])["said"]
    assert said.startswith("no [31m ****** xxx") and len(said) <= 200


@pytest.mark.parametrize("kind,url,shown", [
    ("webhook", "https://user:pw@hook.example:8443/a/b?sig=1", "https://hook.example:8443/******"),
    ("webhook", "http://[2001:db8::1]/x", "http://[2001:db8::1]/******"),
    ("url", "slack://TOKENA/TOKENB/TOKENC", "slack://******"),
])  # fmt: skip
def test_addresses_are_shown_without_what_may_be_secret(kind: str, url: str, shown: str) -> None:
    assert masked(kind, url) == shown


def test_a_webhook_is_given_to_apprise_part_by_part() -> None:
    parcel = webhook_parcel("https://anna:pw@hook.example:8443/a%20b?sig=s%2Fx", "T0ken", key="K")
    assert parcel.service == {
        "schema": "jsons", "host": "hook.example", "port": 8443, "fullpath": "/a%20b", "method": "POST",
        "headers": {"Idempotency-Key": "K", "Authorization": "Bearer T0ken"}, "params": {"sig": "s/x"},
        "user": "anna", "password": "pw",
    }  # fmt: skip
    assert "T0ken" in parcel.secrets and "T0ken" not in repr(parcel)
