"""From a channel to what apprise is given. The secrets of a channel leave the database here and go to the courier."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from django.conf import settings

from tasks.models import MailServer, NotificationChannel
from tasks.models.notification import Addressed
from tasks.notify.delivery import Parcel
from tasks.states import ChannelKind, SmtpSecurity

APP = "Backup Console"


class NotSetUp(Exception):
    """The channel cannot be used as it is; the text says why, ``cure`` what helps."""

    def __init__(self, text: str, cure: str) -> None:
        super().__init__(text)
        self.cure = cure


def parcel_of(channel: NotificationChannel, server: MailServer, **message: Any) -> Parcel:
    """Return what the courier is given for ``channel``; ``server`` is the mail server of the console.

    Raises ``NotSetUp``, and ``vault.KeyLost`` where no key opens the secrets.
    """
    if channel.kind == ChannelKind.MAIL:
        return mail_parcel(channel if channel.own_server else server, channel.recipient, **message)
    secrets = channel.secrets()
    if channel.kind == ChannelKind.WEBHOOK:
        return webhook_parcel(secrets.get("url", ""), secrets.get("token", ""), **message)
    return url_parcel(secrets.get("url", ""), **message)


def mail_parcel(server: Addressed, recipient: str, *, password: str | None = None, **message: Any) -> Parcel:
    """Return a mail to ``recipient``; ``password`` is one that is not stored yet.

    The console's own mail server may be on the console's machine, that of a person only where the setting allows it.
    """
    if not server.smtp_host or not server.sender:
        raise NotSetUp("The console has no mail server yet.", "An administrator sets it up: System > Notifications.")
    secret = server.secrets().get("password", "") if password is None else password
    secure = server.smtp_security != SmtpSecurity.INSECURE
    service = {
        "schema": "mailtos" if secure else "mailto",
        "host": server.sender.partition("@")[2],
        "smtp_host": server.smtp_host,
        "port": server.smtp_port,
        "secure_mode": server.smtp_security,
        "from_addr": f"{APP} <{server.sender}>",
        "targets": [recipient],
    }
    if server.smtp_account and secret:
        # apprise takes both as they stand in a URL.
        service |= {"user": quote(server.smtp_account, safe=""), "password": quote(secret, safe="")}
    local = settings.NOTIFY_LOCAL or isinstance(server, MailServer)
    return Parcel(service=service, schemes=("mailto", "mailtos"), local=local, secrets=(secret,), **message)


def webhook_parcel(url: str, token: str, *, key: str = "", **message: Any) -> Parcel:
    """Return a POST of JSON to ``url``, whose ``Idempotency-Key`` is the same at every attempt."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    headers = {"Idempotency-Key": key} | ({"Authorization": f"Bearer {token}"} if token else {})
    service: dict[str, Any] = {
        "schema": "jsons" if secure else "json",
        "host": f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname,
        "port": parts.port,
        "fullpath": parts.path or "/",
        "headers": headers,
        "params": dict(parse_qsl(parts.query, keep_blank_values=True)),
        "method": "POST",
    }
    if parts.username:
        service |= {"user": parts.username, "password": parts.password or ""}
    return Parcel(
        service=service,
        schemes=("json", "jsons"),
        local=settings.NOTIFY_LOCAL,
        key=key,
        secrets=(token, *_secret_parts(url)),
        **message,
    )


def url_parcel(url: str, **message: Any) -> Parcel:
    """Return a message to a service that apprise knows; the schemes of the setting are held to by the courier too."""
    schemes = tuple(settings.NOTIFY_SCHEMES)
    return Parcel(url=url, schemes=schemes, local=settings.NOTIFY_LOCAL, secrets=_secret_parts(url), **message)


def _secret_parts(url: str) -> tuple[str, ...]:
    """Return what of an address may be a secret: every part but the scheme, as far as it is long enough to be one."""
    rest = url.partition("://")[2]
    for mark in "/?&=:@+-#":
        rest = rest.replace(mark, "\n")
    return (url, *(part for part in rest.split("\n") if len(part) >= 6))


def masked(kind: str, url: str) -> str:
    """Return what tells an address from others without what may be secret in it."""
    parts = urlsplit(url)
    if kind == ChannelKind.WEBHOOK:
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}/******"
    return f"{parts.scheme}://******"
