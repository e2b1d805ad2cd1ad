"""Rollback: the archive has the bytes it would have had without what was taken back."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.engine.archive import ArchiveWriter, Checkpoint, verify_archive
from tasks.engine.archive.gzip import BLOCK

from .archive_kit import MemorySink, build, gnu_tar, reader

CONTENT = Random(3).randbytes(BLOCK) + bytes(BLOCK) + Random(4).randbytes(3 * BLOCK)
SIZES = (0, 1, 511, 512, 4096, BLOCK // 2, BLOCK - 512, BLOCK, BLOCK + 1, 3 * BLOCK, 4 * BLOCK + 1)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(SIZES)),
        st.tuples(st.just("checkpoint"), st.just(0)),
        st.tuples(st.just("rollback"), st.integers(0, 5)),
    ),
    max_size=25,
)


def add(archive: ArchiveWriter, number: int, size: int) -> None:
    archive.add_bytes(f"n1/member-{number:03d}", CONTENT[number : number + size], 1_700_000_000)


def play(archive: ArchiveWriter, series: list[tuple[str, int]]) -> list[tuple[int, int]]:
    """Do what the series says; return what survived: number and size of each member."""
    alive: list[tuple[int, int]] = []
    checkpoints: list[tuple[Checkpoint, int]] = []
    for number, (verb, value) in enumerate(series):
        if verb == "add":
            add(archive, number, value)
            alive.append((number, value))
        elif verb == "checkpoint":
            checkpoints.append((archive.checkpoint(), len(alive)))
        elif checkpoints:
            place = value % len(checkpoints)
            checkpoint, count = checkpoints[place]
            archive.rollback(checkpoint)
            del checkpoints[place + 1 :], alive[count:]
        assert archive.members == archive.files == len(alive)
        assert archive.source_bytes == sum(len(CONTENT[number : number + size]) for number, size in alive)
    return alive


@settings(max_examples=40, deadline=None)
@given(steps, st.sampled_from([1, 2, 3]))
def test_any_series_gives_the_bytes_of_what_survived(series: list[tuple[str, int]], threads: int) -> None:
    alive: list[tuple[int, int]] = []
    data, result = build(lambda archive: alive.extend(play(archive, series)), threads=threads)

    def only_survivors(archive: ArchiveWriter) -> None:
        for number, size in alive:
            add(archive, number, size)

    plain, expected = build(only_survivors)
    assert data == plain
    assert result == expected
    assert verify_archive(reader(data), sha256=result.sha256).members == len(alive)
    assert gnu_tar("tz", data=data).stdout.count(b"\n") == len(alive) + 1


def test_a_rollback_within_a_block_does_not_touch_the_sink() -> None:
    sink = MemorySink()
    with ArchiveWriter(sink) as archive:
        add(archive, 1, 1000)
        checkpoint = archive.checkpoint()
        add(archive, 2, 1000)
        archive.rollback(checkpoint)
        assert sink.truncated == 0
        for _ in range(3):
            add(archive, 3, 4 * BLOCK)
            archive.rollback(checkpoint)
        assert sink.truncated == 3
        assert archive.archive_bytes == len(sink.data)


def test_checkpoints_of_the_future_and_of_others_are_refused() -> None:
    with ArchiveWriter(MemorySink()) as one, ArchiveWriter(MemorySink()) as two:
        early = one.checkpoint()
        add(one, 1, 10)
        late = one.checkpoint()
        one.rollback(early)
        with pytest.raises(ValueError, match="does not belong"):
            one.rollback(late)
        with pytest.raises(ValueError, match="does not belong"):
            two.rollback(early)
        one.rollback(early)


def test_a_sink_that_cannot_truncate_breaks_the_archive(tmp_path: Path) -> None:
    class Stubborn(MemorySink):
        def truncate(self, size: int) -> None:
            raise OSError(5, "cannot")

    with ArchiveWriter(Stubborn()) as archive:
        checkpoint = archive.checkpoint()
        add(archive, 1, 4 * BLOCK)
        with pytest.raises(OSError, match="cannot"):
            archive.rollback(checkpoint)
        assert archive.broken
        with pytest.raises(OSError, match="cannot"):
            archive.finish({})
