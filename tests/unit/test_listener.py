"""The socket that the web server inherits."""

from __future__ import annotations

import socket

import pytest

from backupconsole.console import listen


def test_the_end_of_a_page_does_not_wait_for_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "0")
    with listen() as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
