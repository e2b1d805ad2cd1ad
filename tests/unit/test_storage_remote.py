"""How uploads over a connection put bytes together, and what no part of a path may be."""

from __future__ import annotations

import re

import pytest

from storage.errors import BadPath
from storage.remote import Pieces, check_parts


def test_whole_pieces_go_out_and_the_rest_is_held() -> None:
    sent: list[bytes] = []
    pieces = Pieces(4, lambda piece: sent.append(bytes(piece)))
    for data in (b"a", memoryview(b"bc"), b"defghijklm", bytearray(b"n"), b""):
        pieces.add(data)
    assert sent == [b"abcd", b"efgh", b"ijkl"]
    pieces.flush()
    pieces.flush()
    assert sent[3:] == [b"mn"]


def test_what_is_held_can_be_shortened_and_dropped() -> None:
    sent: list[bytes] = []
    pieces = Pieces(9, lambda piece: sent.append(bytes(piece)))
    pieces.add(b"keep this")
    pieces.add(b"and this")
    pieces.keep(3)
    pieces.flush()
    pieces.add(b"nothing")
    pieces.drop()
    pieces.flush()
    assert sent == [b"keep this", b"and"]


def test_a_piece_that_could_not_be_sent_stays_held() -> None:
    seen: list[memoryview] = []

    def fail(piece: memoryview) -> None:
        seen.append(piece[1:])
        raise ConnectionError

    pieces = Pieces(4, fail)
    pieces.add(b"abc")
    for _ in range(2):
        with pytest.raises(ConnectionError):
            pieces.flush()
    pieces.drop()
    assert [bytes(view) for view in seen] == [b"bc", b"bc"], "dropping does not change what was handed out"


@pytest.mark.parametrize("part", ["", ".", "..", "a/b", "/", "a\0b"])
def test_a_part_that_leads_elsewhere(part: str) -> None:
    with pytest.raises(BadPath) as caught:
        check_parts(("fine", part))
    assert caught.value.message == f"{part!r} cannot be the name of a backup file or directory."


def test_a_path_type_can_refuse_more() -> None:
    check_parts(("a:b", "..c", "d."))
    with pytest.raises(BadPath):
        check_parts(("a:b",), re.compile(":"))
