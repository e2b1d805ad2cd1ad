"""Seeded corpora, made on the spot: a binary log like those of IoTDB, many small files, and incompressible bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from random import Random

MIB = 1 << 20
_SENSORS = (b"temperature", b"pressure", b"voltage", b"current", b"status", b"vibration", b"flow_rate", b"humidity")
_DISTINCT = 2 * MIB  # bytes of a log that differ; deflate looks back 32 KiB, so what repeats later looks new to it


@dataclass(frozen=True)
class Corpus:
    """A directory made for a benchmark: its name, what it holds in words, and how many files and bytes."""

    name: str
    about: str
    root: Path
    files: int
    size: int


def log_bytes(seed: int, size: int) -> bytes:
    """Return ``size`` bytes of records: path of a series, types, time, number; they compress about 4:1."""
    random, parts, total, time = Random(seed), [], 0, 1_700_000_000_000
    number = 0
    while total < size:
        device = int(random.random() * 40000)
        sensor = _SENSORS[int(random.random() * 8)]
        time += int(random.random() * 900)
        number += 1
        path = b"root.sg_%02d.plant%02d.line%d.dev%05d.%s" % (device % 20, device % 60, device % 7, device, sensor)
        fields = struct.pack(">BBBqqi", 1 + (device & 3), 2, 1, time, number, 0)
        record = struct.pack(">iBH", len(path) + 26, 4, len(path)) + path + fields + bytes(4)
        parts.append(record)
        total += len(record)
    return b"".join(parts)[:size]


def make_log(parent: Path, size: int) -> Corpus:
    """Three large files, nine tenths of it, and twenty medium ones."""
    root = parent / "log"
    large = ["schema_region/0/mlog.bin", "schema_region/1/mlog.bin", "schema_region/0/snapshot/mtree-1.snapshot.bin"]
    sizes = dict.fromkeys(large, size * 3 // 10)
    sizes |= {f"system/part-{number:03d}.log": size // 200 for number in range(20)}
    for seed, (name, length) in enumerate(sizes.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        distinct = log_bytes(100 + seed, min(length, _DISTINCT))
        with path.open("wb") as file:
            for start in range(0, length, _DISTINCT):
                file.write(distinct[: length - start])
    return Corpus("log", "3 large and 20 medium files of a binary log", root, len(sizes), sum(sizes.values()))


def make_small(parent: Path, count: int) -> Corpus:
    """``count`` files of 1 to 4 KB, a hundred in a directory."""
    root = parent / "small"
    random, content, size = Random(7), log_bytes(7, MIB), 0
    for number in range(count):
        directory = root / f"region/{number // 10000:02d}/{number // 100:04d}"
        if not number % 100:
            directory.mkdir(parents=True)
        length, start = random.randrange(1024, 4097), random.randrange(len(content) - 4096)
        (directory / f"tag_{number % 100:03d}.bin").write_bytes(content[start : start + length])
        size += length
    return Corpus("small", f"{count:,} files of 1 to 4 KB", root, count, size)


def make_random(parent: Path, size: int) -> Corpus:
    """Files of 64 MiB that do not compress."""
    root = parent / "random"
    root.mkdir(parents=True)
    random = Random(9)
    for number in range(size // (64 * MIB)):
        with (root / f"tsfile-{number}.bin").open("wb") as file:
            for _ in range(64):
                file.write(random.randbytes(MIB))
    return Corpus("random", "files that do not compress", root, size // (64 * MIB), size)
