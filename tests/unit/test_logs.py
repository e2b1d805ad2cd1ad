"""The server's log: each line knows its run or its request, also in threads; as text and as JSON."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.utils import timezone

from backupconsole import logformat
from storage.threads import helper
from tasks import jobs, logcontext
from tasks.engine import record
from tasks.engine.lease import Lease
from tasks.engine.record import Outcome, finish
from tasks.models import BackupTask, Run
from tasks.states import RunState
from tests.conftest import Login, MakeRun

log = logging.getLogger("storage.sftp")


class Written:
    """What a logger wrote, in one of the formats."""

    def __init__(self, kind: str) -> None:
        self._stream = StringIO()
        self.handler = logging.StreamHandler(self._stream)
        self.handler.setFormatter(logformat.formatter(kind))
        self.handler.addFilter(logcontext.ContextFilter())

    @property
    def lines(self) -> list[str]:
        return self._stream.getvalue().splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def written(request: pytest.FixtureRequest) -> Iterator[Written]:
    found = Written(getattr(request, "param", "json"))
    logcontext.end_request()
    root = logging.getLogger()
    level, run = root.level, logging.getLogger("tasks.run")
    before = run.level
    root.addHandler(found.handler)
    root.setLevel(logging.INFO)
    run.setLevel(logging.INFO)
    yield found
    root.removeHandler(found.handler)
    root.setLevel(level)
    run.setLevel(before)


# --- The two formats -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("written", ["text"], indirect=True)
def test_lines_for_people(written: Written) -> None:
    log.info("connected to %s", "10.0.0.5")
    with logcontext.of_run(12, "daily", "plant"):
        log.warning("it is slow")
    with logcontext.of_run(13):
        log.warning("swept")
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
    expected = [
        r"INFO storage\.sftp connected to 10\.0\.0\.5",
        r"WARNING storage\.sftp \[run 12 daily on plant\] it is slow",
        r"WARNING storage\.sftp \[run 13\] swept",
    ]
    for line, pattern in zip(written.lines, expected, strict=True):
        assert re.fullmatch(f"{when} {pattern}", line)


def test_lines_for_programs(written: Written) -> None:
    with logcontext.of_run(12, "daily", "plant"):
        log.warning('two\nlines, "quoted" and ä')
        try:
            raise ValueError("no")
        except ValueError:
            log.exception("it failed")
    assert len(written.lines) == 2, "one line each, whatever it holds"
    first, second = written.objects
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert isinstance(first.pop("process"), int)
    assert first == {
        "level": "WARNING",
        "logger": "storage.sftp",
        "message": 'two\nlines, "quoted" and ä',
        "run": 12,
        "task": "daily",
        "cluster": "plant",
    }
    assert second["exception"].startswith("Traceback") and second["exception"].endswith("ValueError: no")


def test_half_a_character_is_written_all_the_same() -> None:
    """File names are bytes. It is formatted alone: pytest-xdist cannot carry such a line in a report."""
    line = logging.LogRecord("storage.sftp", logging.INFO, "x", 1, "%s", ("\ud800",), None)
    assert json.loads(logformat.JsonFormatter().format(line).encode())["message"] == "\ud800"


def test_a_line_about_nothing_names_nothing(written: Written) -> None:
    log.info("started")
    assert set(written.objects[0]) == {"time", "level", "logger", "message", "process"}


def test_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "JSON")
    assert logformat.chosen() == "json"
    monkeypatch.setenv("LOG_FORMAT", "xml")
    with pytest.raises(ImproperlyConfigured, match="LOG_FORMAT: 'xml' is none of text, json"):
        logformat.chosen()


def test_a_formatter_without_the_filter_still_writes() -> None:
    line = logging.LogRecord("gunicorn.error", logging.INFO, "x", 1, "Booting %s", ("worker",), None)
    assert logformat.formatter("text").format(line).endswith(" INFO gunicorn.error Booting worker")
    assert json.loads(logformat.formatter("json").format(line))["message"] == "Booting worker"


# --- Runs ------------------------------------------------------------------------------------------------------------
def test_threads_of_a_run_know_it(written: Written) -> None:
    """Those that the console starts by a copy of the context, those of libraries because the process works on it."""

    def say() -> None:
        log.info(threading.current_thread().name)

    with logcontext.of_run(12, "daily", "plant"):
        threads = [helper(say, "ours"), threading.Thread(target=say, name="of a library")]
        for thread in threads:
            thread.start()
            thread.join()
    late = helper(say, "after it")
    late.start()
    late.join()
    found = [(line["message"], line.get("run")) for line in written.objects]
    assert found == [("ours", 12), ("of a library", 12), ("after it", None)]


def test_two_runs_at_once_in_one_process_are_told_apart(written: Written) -> None:
    both = threading.Barrier(2)

    def work(run: int) -> None:
        with logcontext.of_run(run):
            both.wait()
            part = helper(lambda: log.info("part of %s", run), "part")
            part.start()
            part.join()
            both.wait()

    threads = [threading.Thread(target=work, args=(run,)) for run in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(line["message"] == f"part of {line['run']}" for line in written.objects)
    assert len(written.objects) == 2


def test_everything_that_is_logged_while_a_worker_works_names_the_run(
    task: BackupTask, make_run: MakeRun, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(task, RunState.WAITING, timezone.now())

    def execute(lease: Lease) -> None:
        log.info("from a store")
        thread = threading.Thread(target=lambda: logging.getLogger("library.of.others").warning("from a library"))
        thread.start()
        thread.join()
        record.write_line(run.pk, "WARN", "A line of the run.")
        finish(lease.run_id, Outcome(RunState.FAILED, "tried"), timezone.now(), token=lease.token)

    monkeypatch.setattr("tasks.engine.kinds.execute", execute)
    jobs.execute_run(run.pk)
    log.info("afterwards")
    *within, after = written.objects
    assert [line["message"] for line in within] == ["from a store", "from a library", "A line of the run."]
    assert {(line["run"], line["task"], line["cluster"]) for line in within} == {(run.pk, task.name, "plant")}
    assert within[2]["logger"] == "tasks.run" and within[2]["level"] == "WARNING"
    assert "run" not in after


def test_a_line_of_a_run_that_nobody_works_on_names_it(task: BackupTask, make_run: MakeRun, written: Written) -> None:
    run = make_run(task, RunState.WAITING, timezone.now())
    record.write_line(run.pk, "INFO", "Stopped by anna before it started.")
    assert written.objects[0]["run"] == run.pk and "task" not in written.objects[0]


def test_a_run_whose_names_cannot_be_read_is_carried_out_all_the_same(
    task: BackupTask, make_run: MakeRun, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    def gone(*names: str) -> Any:
        raise OperationalError("away")

    run = make_run(task, RunState.WAITING, timezone.now())
    monkeypatch.setattr("tasks.engine.kinds.execute", lambda lease: log.info("working"))
    monkeypatch.setattr(Run.objects, "values_list", gone)
    jobs.execute_run(run.pk)
    assert next(line["run"] for line in written.objects if line["message"] == "working") == run.pk


# --- Requests --------------------------------------------------------------------------------------------------------
def test_a_request_has_a_number_that_its_lines_and_its_answer_name(
    login: Login, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        log.warning("about to fail")
        raise RuntimeError("no")

    monkeypatch.setattr("tasks.listing.whole", broken)
    client = login("Viewer")
    client.raise_request_exception = False
    response = client.get("/backups/")
    number = response.headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{16}", number)
    assert f"under request <code>{number}</code>" in response.content.decode(), "the page of the failure names it"
    lines = [line for line in written.objects if line["message"] != "x"]
    assert {line["request"] for line in lines} == {number}
    assert {"about to fail", "Internal Server Error: /backups/"} <= {line["message"] for line in lines}
    assert client.get("/clusters/").headers["X-Request-ID"] != number


GIVEN = {"3f2a-77.b_c1": True, "short": False, "x" * 65: False, "a b c d e f": False, "": False}


@pytest.mark.parametrize("given", GIVEN)
def test_the_number_of_a_declared_proxy_is_kept(client: Client, db: None, settings: Any, given: str) -> None:
    settings.TRUSTED_PROXY = True
    number = client.get("/login/", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert (number == given) is GIVEN[given]


def test_what_a_stranger_gives_as_a_number_is_not_taken(client: Client, db: None) -> None:
    given = "forged-12345678"
    assert client.get("/login/", headers={"X-Request-ID": given}).headers["X-Request-ID"] != given


def test_the_web_server_writes_as_all_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gunicorn.config import Config

    from backupconsole.gunicornlog import GunicornLogger

    monkeypatch.setenv("LOG_FORMAT", "json")
    logger = GunicornLogger(Config())
    logger.error("Worker failed to boot.")
    assert json.loads(capsys.readouterr().err)["message"] == "Worker failed to boot."
