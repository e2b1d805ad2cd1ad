"""The archive benchmark: its corpora, its arithmetic, and one small comparison from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import archive, corpora
from bench.__main__ import main
from bench.measure import Command, Sample, interleave, paired, run_once
from bench.registry import BENCHES, Options, load
from bench.report import Target, corpus_table, data_of, targets_table

MIB = corpora.MIB


def sample(wall: float, cpu: float = 1.0, peak_kib: int = 30_000) -> Sample:
    return Sample(wall, cpu, peak_kib, 1000, {"seconds": wall, "cpu": cpu, "peak_kib": peak_kib})


def test_corpora_are_what_they_say_and_the_same_every_time(tmp_path: Path) -> None:
    for make, amount in ((corpora.make_log, 2 * MIB), (corpora.make_small, 250), (corpora.make_random, 64 * MIB)):
        one, two = make(tmp_path / "one", amount), make(tmp_path / "two", amount)
        files = sorted(path for path in one.root.rglob("*") if path.is_file())
        assert len(files) == one.files == two.files
        assert sum(path.stat().st_size for path in files) == one.size
        assert files[-1].read_bytes() == (two.root / files[-1].relative_to(one.root)).read_bytes()


def test_a_failing_command_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken failed: no such luck"):
        run_once(Command("broken", "echo no such luck >&2; exit 3"), tmp_path / "out", tmp_path)


def test_the_order_is_reversed_every_other_round(tmp_path: Path) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    commands = [Command(name, f"echo {name} >> {log}; touch {out}") for name in ("a", "b", "c")]
    samples = interleave(commands, 3, out, tmp_path)
    assert log.read_text().split() == ["a", "b", "c", "c", "b", "a", "a", "b", "c"]
    assert [len(runs) for runs in samples.values()] == [3, 3, 3]


def test_ratios_are_paired() -> None:
    peer, ours = [sample(2.0), sample(40.0), sample(3.0)], [sample(1.0), sample(10.0), sample(1.0)]
    assert paired(peer, ours, lambda one: one.wall) == 3.0


def test_targets_are_judged_and_absent_peers_left_out() -> None:
    samples = {archive.OURS: [sample(1.0)], archive.PIGZ: [sample(1.9)]}
    judged = archive.targets("log", samples, 10, quick=False)
    assert [target.reached for target in judged] == [False, True]
    assert "MISSED" in targets_table(judged, False)
    small = archive.targets("small", {archive.OURS: [sample(1.0)]}, 26_000, quick=False)
    assert small[0].reached
    assert "26,000 files/s" in str(small[0])
    assert not Target("memory", 120.0, 100, at_most=True).reached
    assert Command("x", "x", ("no-such-program",)).missing() == "no-such-program"


def test_one_small_comparison(tmp_path: Path) -> None:
    corpus = corpora.make_small(tmp_path, 200)
    result = tmp_path / "archive.tar.gz"
    present = [command for command in archive.commands(corpus, result) if command.missing() is None]
    samples = interleave(present, 1, result, archive.ROOT, archive.prove(result, corpus))
    assert samples[archive.OURS][0].own["files"] == 200
    table = corpus_table(corpus, samples, 1, archive.OURS)
    assert "200 files of 1 to 4 KB" in table
    assert "in our process alone" in table
    assert json.dumps(data_of(corpus, samples, archive.targets("small", samples, 200, quick=True), archive.OURS))


def test_the_command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert callable(load("archive"))
    monkeypatch.setattr(archive, "run", lambda options: archive.Outcome(f"quick={options.quick}", {"x": 1}, ["log"]))
    assert main(["archive", "--quick", "--json", str(tmp_path / "out.json")]) == 0
    assert main(["archive", "--strict"]) == 1
    assert json.loads((tmp_path / "out.json").read_text()) == {"archive": {"x": 1}}
    assert "quick=True" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert Options().rounds is None
    assert "archive" in BENCHES
