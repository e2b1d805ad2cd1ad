"""/livez, /readyz and who may read /metrics: without a session, whatever the host, never anonymous to the world."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backupconsole.checks import metrics_token
from backupconsole.env import env_networks
from backupconsole.monitoring.probes import ProbesMiddleware
from tasks.keptsql import KeptQuery
from tasks.models import Maintenance, Pulse

TOKEN = "0123456789abcdef-token"
FAR = {"REMOTE_ADDR": "203.0.113.7"}


@pytest.fixture
def alive(db: None) -> None:
    for name in ("tick", "supervisor"):
        Pulse.beat(name, timezone.now())


def states(response: Any) -> dict[str, str]:
    return {check["name"]: check["state"] for check in response.json()["checks"]}


# --- /livez ----------------------------------------------------------------------------------------------------------
def test_livez_asks_no_database(client: Client) -> None:
    # Without the fixture of the database any query fails the test.
    response = client.get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["Cache-Control"] == "no-store"


def test_probes_need_no_session_no_known_host_and_no_https(client: Client, alive: None, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["backup.example.org"]
    settings.SECURE_SSL_REDIRECT = True
    client.cookies["sessionid"] = "x" * 32
    for path in ("/livez", "/readyz"):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200, path
        assert len(captured) <= 1
    assert client.post("/livez").status_code == 405


def test_head_tells_the_same_without_a_body(rf: RequestFactory, alive: None) -> None:
    """Asked past the test client, which takes bodies away itself."""
    answer = ProbesMiddleware(lambda request: HttpResponse(status=404))
    for path in ("/livez", "/readyz", "/metrics"):
        whole, head = answer(rf.get(path)), answer(rf.head(path))
        assert (head.status_code, head.content) == (whole.status_code, b"") == (200, b"")
        assert int(head.headers["Content-Length"]) > 10


def test_other_addresses_are_pages(client: Client, db: None) -> None:
    for path in ("/livezz", "/livez/", "/metrics/", "/metrics/x"):
        assert client.get(path).status_code == 404, path
    assert client.get("/backups/").status_code == 302


# --- /readyz ---------------------------------------------------------------------------------------------------------
def test_ready(client: Client, alive: None) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert states(response) == {"database": "ok", "tick": "ok", "workers": "ok"}


@pytest.mark.parametrize(("name", "check"), [("tick", "tick"), ("supervisor", "workers")])
def test_not_ready_when_the_workers_are_silent(
    client: Client, alive: None, settings: Any, name: str, check: str
) -> None:
    Pulse.beat(name, timezone.now() - timedelta(seconds=settings.TICK_SILENCE_SECONDS + 30))
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "failed")
    assert [name for name, state in states(response).items() if state == "failed"] == [check]
    Pulse.objects.filter(name=name).delete()
    assert client.get("/readyz").status_code == 503


def test_maintenance_is_no_failure(client: Client, alive: None) -> None:
    """Pages are served and the workers tick, and a balancer that took the console away would hide who ends it."""
    Maintenance.objects.create(pk=1, since=timezone.now(), set_by="anna", reason="Disks")
    assert client.get("/readyz").status_code == 200


def test_not_ready_without_the_database(client: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*args: Any, **fields: Any) -> Any:
        raise OperationalError("password=hunter2 refused at 10.0.0.1")

    monkeypatch.setattr(KeptQuery, "rows", gone)
    response = client.get("/readyz")
    assert response.status_code == 503 and set(states(response).values()) == {"failed"}
    assert "hunter2" not in response.content.decode() and "10.0.0.1" not in response.content.decode()
    assert client.get("/metrics").status_code == 503


def test_strangers_see_states_and_no_details(client: Client, alive: None) -> None:
    near = client.get("/readyz").json()["checks"]
    assert near[1]["detail"].startswith("The last tick was under 1 min ago; the limit is ")
    far = client.get("/readyz", **FAR)
    assert far.status_code == 200 and states(far)["tick"] == "ok"
    assert "detail" not in far.content.decode()


# --- Who may read the metrics ----------------------------------------------------------------------------------------
Get = Callable[..., int]


@pytest.fixture
def get(client: Client, db: None) -> Get:
    def status(headers: dict[str, str] | None = None, **environment: str) -> int:
        return int(client.get("/metrics", headers=headers or {}, **environment).status_code)

    return status


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_by_default_this_machine_alone(get: Get) -> None:
    assert get() == 200
    assert get(REMOTE_ADDR="127.8.9.10") == 200 and get(REMOTE_ADDR="::1") == 200
    assert get(REMOTE_ADDR="::ffff:127.0.0.1") == 200
    for address in ("203.0.113.7", "10.0.0.1", "::ffff:203.0.113.7", "fe80::1", "", "somebody"):
        assert get(REMOTE_ADDR=address) == 401, address


def test_the_refusal_says_what_helps(client: Client, db: None) -> None:
    response = client.get("/metrics", **FAR)
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="metrics"'
    assert "METRICS_TOKEN" in response.content.decode() and "METRICS_NETWORKS" in response.content.decode()


def test_the_token_opens_from_everywhere_and_nothing_else_does(get: Get, settings: Any) -> None:
    assert get(bearer(""), **FAR) == 401, "no token is no key"
    settings.METRICS_TOKEN = TOKEN
    assert get(bearer(TOKEN), **FAR) == 200
    assert get({"Authorization": f"bearer  {TOKEN}"}, **FAR) == 200
    for wrong in ("", TOKEN[:-1], f"{TOKEN}x", "é"):
        assert get(bearer(wrong), **FAR) == 401, wrong
    assert get({"Authorization": f"Basic {TOKEN}"}, **FAR) == 401
    assert get({"Authorization": TOKEN}, **FAR) == 401


def test_a_session_opens_nothing(client: Client, admin_user: User) -> None:
    """A person may be limited to some clusters, and metrics are those of all."""
    client.force_login(admin_user)
    assert client.get("/metrics", **FAR).status_code == 401


def test_networks_that_are_named(get: Get, settings: Any) -> None:
    settings.METRICS_NETWORKS = [ip_network("203.0.113.0/24"), ip_network("fd12::/16")]
    assert get(**FAR) == 200 and get(REMOTE_ADDR="fd12::9") == 200
    assert get() == 401 and get(REMOTE_ADDR="203.0.114.1") == 401


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Proto"])
def test_a_proxy_on_this_machine_opens_nothing_to_the_world(get: Get, name: str) -> None:
    assert get({name: "127.0.0.1"}) == 401


@pytest.mark.parametrize(("name", "value"), [("HTTPS", True), ("CSRF_TRUSTED_ORIGINS", ["https://b.example.org"])])
def test_a_proxy_that_adds_nothing_is_known_by_the_settings(get: Get, settings: Any, name: str, value: Any) -> None:
    setattr(settings, name, value)
    assert get() == 401
    settings.METRICS_TOKEN = TOKEN
    assert get(bearer(TOKEN)) == 200


def test_behind_a_declared_proxy_the_last_address_counts(get: Get, settings: Any) -> None:
    settings.TRUSTED_PROXY = settings.HTTPS = True
    assert get({"X-Forwarded-For": "127.0.0.1, 203.0.113.7"}) == 401, "the first one is what the caller claims"
    assert get({"X-Forwarded-For": "203.0.113.7, 127.0.0.1"}) == 200


SAYS_NOBODY = [{}, {"X-Forwarded-For": ""}, {"X-Forwarded-For": " "}, {"X-Forwarded-For": "203.0.113.7, "}]


@pytest.mark.parametrize("said", SAYS_NOBODY)
def test_a_declared_proxy_that_does_not_say_whom_it_serves_opens_nothing(
    get: Get, settings: Any, said: dict[str, str]
) -> None:
    settings.TRUSTED_PROXY = settings.HTTPS = True
    assert get({"X-Forwarded-Proto": "https", **said}) == 401


def test_beside_a_declared_proxy_this_machine_still_reads(get: Get, settings: Any) -> None:
    settings.TRUSTED_PROXY = settings.HTTPS = True
    settings.CSRF_TRUSTED_ORIGINS = ["https://b.example.org"]
    assert get() == 200
    assert get(REMOTE_ADDR="203.0.113.7") == 401


def test_a_foreign_name_of_this_machine_is_no_monitor(get: Get, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    assert get({"Host": "evil.example:8000"}) == 401
    assert get({"Host": "localhost:8000"}) == 200
    for address in ("127.0.0.1:8000", "10.1.2.3", "[::1]:8000", "[fd12::9]"):
        assert get({"Host": address}) == 200, "monitors call by address, and no page has one for a name"
    assert get({"Host": ""}) == 401 and get({"Host": "10.1.2.3.evil.example"}) == 401


def test_networks_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_NETWORKS", "10.0.0.0/8, 192.168.1.7,fd12::/16")
    assert [str(one) for one in env_networks("METRICS_NETWORKS", "")] == ["10.0.0.0/8", "192.168.1.7/32", "fd12::/16"]
    for wrong in ("10.0.0.1/8", "everybody", "10.0.0.0/99"):
        monkeypatch.setenv("METRICS_NETWORKS", wrong)
        with pytest.raises(ImproperlyConfigured, match=f"METRICS_NETWORKS: '{wrong}' is no network"):
            env_networks("METRICS_NETWORKS", "")


def test_a_token_that_can_be_guessed_is_an_error(settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    assert metrics_token(None) == []
    settings.METRICS_TOKEN = "x" * 16
    assert metrics_token(None) == []
    settings.METRICS_TOKEN = "secret"
    found = metrics_token(None)
    assert [one.id for one in found] == ["console.E008"] and "secret" not in str(found[0])
