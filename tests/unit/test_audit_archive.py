"""exportaudit and its archives: whole, neutral for spreadsheets, and verified without the database."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from tasks import chain
from tasks.audit import CONSOLE, Target, record
from tasks.auditing import archive
from tasks.models import AuditEvent
from tests.unit.audit_kit import checkpoint_in, make_events, run, tamper

pytestmark = pytest.mark.django_db


# --- exportaudit ------------------------------------------------------------------------------------------------------
def test_an_archive_holds_everything_and_verifies(tmp_path: Path) -> None:
    make_events(3)
    file = tmp_path / "audit.jsonl"
    assert run("exportaudit", str(file))[0] == f"Written to {file}.\n"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["position"] for line in lines] == [1, 2, 3]
    assert file.stat().st_mode & 0o777 == 0o600
    out = run("verifyaudit", "--archive", str(file))[0]
    assert out.startswith("3 events verified: all whole.\n")
    assert run("verifyaudit", "--archive", str(file), "--expect", checkpoint_in(out))[2] == ""
    assert list(tmp_path.iterdir()) == [file]


def test_the_export_is_itself_on_record(capsysbinary: Any) -> None:
    make_events(1)
    run("exportaudit", "--from", "2026-11-01", "--to", "2026-11-02T10:30+00:00")
    event = AuditEvent.objects.get(verb="export audit")
    assert (event.actor, event.note, event.after["format"]) == ("console", "from the command line", "JSON lines")
    assert event.after["filters"]["to"] == "2026-11-02T10:30:00+00:00"
    assert capsysbinary.readouterr().out == b""


def test_a_stretch_of_time(capsysbinary: Any) -> None:
    for day in (1, 2, 3):
        with time_machine.travel(f"2026-11-0{day}T12:00:00+01:00", tick=False):
            make_events(1)
    run("exportaudit", "--from", "2026-11-02", "--to", "2026-11-03")
    assert [json.loads(line)["position"] for line in capsysbinary.readouterr().out.splitlines()] == [2]


def test_csv_is_for_spreadsheets(capsysbinary: Any) -> None:
    record(CONSOLE, "create task", Target("backup task", '=cmd|" /C calc"!A0'), after={"b": "ü"}, note="+1")
    run("exportaudit", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(capsysbinary.readouterr().out.decode("utf-8-sig"))))
    assert (rows[0]["Name"], rows[0]["Note"], rows[0]["After"]) == ('\'=cmd|" /C calc"!A0', "'+1", '{"b": "ü"}')
    assert rows[0]["Risk level"] == "Minor" and rows[0]["Result"] == "Successful"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_no_cell_is_taken_for_a_formula(first: str) -> None:
    assert archive.neutral(f"{first}1+1") == f"'{first}1+1"
    assert archive.neutral(f"a{first}1") == f"a{first}1"
    assert archive.neutral("") == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "yesterday"), "is neither a date nor a date and time"),
        (("--from", "2026-13-40"), "is neither a date nor a date and time"),
        (("--from", "2026-11-02", "--to", "2026-11-02"), "--to: it is not after --from"),
        (("/no/such/directory/file",), "cannot be written: No such file or directory"),
        (("/etc/hostname",), "is there already. Give the name of a new file."),
    ],
)
def test_bad_input_is_refused_with_the_cure(arguments: tuple[str, ...], words: str) -> None:
    make_events(1)
    assert words in run("exportaudit", *arguments)[2]


# --- Archives ---------------------------------------------------------------------------------------------------------
def lines_of(tmp_path: Path, count: int = 5) -> tuple[Path, list[dict[str, Any]]]:
    make_events(count)
    file = tmp_path / "audit.jsonl"
    run("exportaudit", str(file))
    return file, [json.loads(line) for line in file.read_text().splitlines()]


def write(file: Path, lines: list[dict[str, Any]]) -> str:
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return run("verifyaudit", "--archive", str(file))[2]


def test_a_changed_line_is_found(tmp_path: Path) -> None:
    file, lines = lines_of(tmp_path)
    lines[2]["actor"] = "anna"
    assert f"Event {lines[2]['id']:,} on line 3 is not as it was written." in write(file, lines)


def test_a_line_that_was_computed_anew_does_not_fit_its_neighbour(tmp_path: Path) -> None:
    file, lines = lines_of(tmp_path)
    lines[2]["actor"] = "anna"
    lines[2]["digest"] = chain.digest(lines[2]["previous"], lines[2])
    assert "on line 4 is not as it was written" in write(file, lines)


def test_a_selection_is_told_as_one(tmp_path: Path) -> None:
    file, lines = lines_of(tmp_path)
    assert write(file, [lines[0], lines[3], lines[4]]) == ""
    out = run("verifyaudit", "--archive", str(file))[0]
    assert "3 events verified: all whole. It is a selection: events are left out at 1 places." in out


def test_an_archive_that_was_cut_is_told_by_a_checkpoint(tmp_path: Path) -> None:
    file, lines = lines_of(tmp_path)
    mark = f"{lines[4]['id']}:{lines[4]['digest']}"
    write(file, lines[:4])
    assert "is not in the archive" in run("verifyaudit", "--archive", str(file), "--expect", mark)[2]
    other = f"{lines[1]['id']}:{'0' * 64}"
    assert "on line 2 is not as it was written" in run("verifyaudit", "--archive", str(file), "--expect", other)[2]


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"id": 1}', "\xff"])
def test_what_is_no_event_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_bytes(f"{line}\n".encode("latin-1"))
    assert "Line 1 is not an event of the audit." in run("verifyaudit", "--archive", str(file))[2]


def test_an_archive_from_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file, _ = lines_of(tmp_path)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(file.read_bytes())))
    assert run("verifyaudit", "--archive", "-")[0].startswith("5 events verified")


def test_archives_that_cannot_be_had() -> None:
    assert "cannot be read: No such file" in run("verifyaudit", "--archive", "/no/such/file")[2]
    assert "Leave one of the two options out" in run("verifyaudit", "--archive", "-", "--accept")[2]


def test_an_export_is_read_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BATCH", 2)
    make_events(5)
    # Of the same moment, so that the order is decided by the number.
    moment = AuditEvent.objects.earliest("pk").at
    for event in AuditEvent.objects.all():
        tamper(event.pk, at=moment)
    for batches in (archive.in_order_of_time, archive.in_order_of_the_chain):
        sizes = [len(batch) for batch in batches(AuditEvent.objects.all())]
        found = [event["id"] for batch in batches(AuditEvent.objects.all()) for event in batch]
        assert (sizes, found) == ([2, 2, 1], sorted(found))
