"""Restoration Management: list, page of a task, verbs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tasks import permissions
from tasks.models import Cluster, Node, Run
from tasks.states import RunState
from tests.web.restoration_kit import FILE, LOSS, PAGE, TITLES, make_copy, make_restoration, make_run, steps_at
from tests.web.taskform_kit import text_of


@pytest.fixture
def restorer(login: Any) -> Client:
    client: Client = login(permissions.RESTORE_ADMINISTRATOR)
    return client


@pytest.mark.parametrize("state", ["", *(state for state in RunState.values if state != RunState.POSTPONED)])
def test_every_state_is_shown_in_the_list_and_on_its_page(state: str, restorer: Client, node: Node) -> None:
    restoration = make_restoration(node.service.cluster)
    if state:
        make_run(restoration, state, steps=steps_at("stop"), reason="This is why.")
    words = RunState(state).label if state else "No runs yet"
    assert words in text_of(restorer.get(PAGE))
    text = text_of(restorer.get(f"{PAGE}{restoration.pk}/"))
    assert words in text
    assert restorer.get(f"{PAGE}{restoration.pk}/news/").status_code == 200
    assert restorer.get(f"{PAGE}cells/?ids={restoration.pk},99").status_code == 200


def test_what_was_rolled_back_lost_nothing(restorer: Client, node: Node) -> None:
    restoration = make_restoration(node.service.cluster)
    make_run(restoration, RunState.ROLLED_BACK, steps=steps_at("stop"), parameters={"loss": LOSS})
    text = text_of(restorer.get(f"{PAGE}{restoration.pk}/"))
    assert "Nothing. It was rolled back" in text and "Every change to the metadata" not in text
    make_run(restoration, RunState.UNKNOWN, steps=steps_at("stop"), parameters={"loss": LOSS})
    assert "Every change to the metadata" in text_of(restorer.get(f"{PAGE}{restoration.pk}/"))


def test_a_viewer_looks_and_does_nothing(login: Any, cluster: Cluster) -> None:
    restoration = make_restoration(cluster)
    make_copy(make_run(restoration, RunState.ROLLED_BACK))
    viewer = login(permissions.VIEWER)
    for address in (PAGE, f"{PAGE}{restoration.pk}/"):
        text = text_of(viewer.get(address))
        assert restoration.name in text
        for verb in ("Create", "Retry", "Delete", "Remove now", "Find sets"):
            assert verb not in text, (address, verb)


def test_an_empty_list_says_what_to_do(restorer: Client, login: Any, cluster: Cluster) -> None:
    text = text_of(restorer.get(PAGE))
    assert "No restoration tasks yet" in text and "Find sets in a destination" in text
    assert "A Restore Administrator can create one." in text_of(login(permissions.VIEWER).get(PAGE))


@pytest.mark.parametrize(
    ("state", "verbs", "missing"),
    [
        ("", ("Start", "Delete"), ("Retry", "Stop", "Roll Back")),
        (RunState.RUNNING, ("Stop",), ("Start restore", "Delete", "Roll Back")),
        (RunState.SUCCESSFUL, ("Delete",), ("Start restore", "Retry", "Stop restore")),
        (RunState.FAILED, ("Retry", "Delete"), ("Stop restore", "Roll Back")),
        (RunState.ROLLED_BACK, ("Retry", "Delete"), ("Roll Back",)),
        (RunState.UNKNOWN, ("Roll Back",), ("Retry", "Delete restore")),
    ],
)
def test_each_state_offers_what_can_be_done(
    state: str, verbs: tuple[str, ...], missing: tuple[str, ...], restorer: Client, cluster: Cluster
) -> None:
    restoration = make_restoration(cluster)
    if state:
        make_run(restoration, state, steps=steps_at("swap"))
    page = restorer.get(PAGE).content.decode()
    row = page[page.index('<tr role="row" id="restoration-') : page.index("</tbody>")]
    for verb in verbs:
        assert f'aria-label="{verb} {restoration.name}"' in row, verb
    for verb in missing:
        assert f'aria-label="{verb}' not in row, verb


def test_start_says_what_happens_and_then_queues(restorer: Client, node: Node) -> None:
    restoration = make_restoration(node.service.cluster)
    address = f"{PAGE}{restoration.pk}/start/"
    text = text_of(restorer.get(address))
    assert "Before that nothing of IoTDB is touched" in text
    assert "node1: by hand, when the steps say so." in text
    response = restorer.post(address, follow=True)
    assert "Nothing of IoTDB is touched before you confirm it" in text_of(response)
    assert Run.objects.get(restoration=restoration).started_by_name == "restore-administrator"
    assert "is waiting. It was started at" in text_of(restorer.post(address, follow=True))


def test_the_question_names_what_is_lost_and_takes_the_name_of_the_cluster_only(
    restorer: Client, cluster: Cluster
) -> None:
    restoration = make_restoration(cluster)
    run = make_run(restoration, RunState.RUNNING, steps=steps_at("confirm"), parameters={"loss": dict(LOSS)})
    address = f"{PAGE}{restoration.pk}/confirm/"
    text = text_of(restorer.get(address))
    assert "Stop IoTDB on plant and restore its metadata?" in text
    for line in ("root.plant.line7", "57 time series more", FILE["name"], "put back if a step fails", "Do not restore"):
        assert str(line) in text
    page = restorer.post(address, {"typed": "Plant"}).content.decode()
    assert 'id="id_typed_error"' in page and "Type plant." in page
    run.refresh_from_db()
    assert run.confirmed_at is None
    assert restorer.post(address, {"typed": "plant"}).status_code == 302
    run.refresh_from_db()
    assert run.confirmed_by == "restore-administrator"
    assert "does not wait to be confirmed" in text_of(restorer.get(address, follow=True))


def test_the_question_is_a_dialog_for_script_and_a_page_without(restorer: Client, cluster: Cluster) -> None:
    restoration = make_restoration(cluster)
    make_run(restoration, RunState.RUNNING, steps=steps_at("confirm"))
    for verb in ("start", "confirm", "delete", "rollback"):
        address = f"{PAGE}{restoration.pk}/{verb}/"
        assert "<title>" in restorer.get(address).content.decode()
        dialog = restorer.get(address, HTTP_HX_REQUEST="true").content.decode()
        assert dialog.startswith("<dialog") and "<title>" not in dialog


def test_do_not_restore_stops_the_run(restorer: Client, cluster: Cluster) -> None:
    restoration = make_restoration(cluster)
    run = make_run(restoration, RunState.RUNNING, steps=steps_at("confirm"))
    page = restorer.get(f"{PAGE}{restoration.pk}/confirm/").content.decode()
    # In a form of its own: Enter in the field must not press it.
    assert f'<form id="keep" method="post" action="{PAGE}{restoration.pk}/stop/">' in page
    assert 'form="keep">Do not restore' in page
    assert "Stop was requested" in text_of(restorer.post(f"{PAGE}{restoration.pk}/stop/", follow=True))
    run.refresh_from_db()
    assert run.stop_requested_by == "restore-administrator"


def test_a_restoration_that_waits_is_told_once_to_whoever_looks(restorer: Client, cluster: Cluster) -> None:
    restoration = make_restoration(cluster)
    make_run(restoration, RunState.RUNNING, steps=steps_at("confirm"))
    page = restorer.get(f"{PAGE}{restoration.pk}/").content.decode()
    assert "waits for a decision" in page
    assert page.count(f'href="{PAGE}{restoration.pk}/confirm/"') == 1
    assert 'aria-current="step"' in page


def test_while_iotdb_is_stopped_the_page_says_since_when(restorer: Client, cluster: Cluster) -> None:
    restoration = make_restoration(cluster)
    since = {"touched_at": timezone.now().isoformat()}
    run = make_run(restoration, RunState.RUNNING, steps=steps_at("swap", of=200, done=50), parameters=since)
    text = text_of(restorer.get(f"{PAGE}{restoration.pk}/"))
    assert "IoTDB on plant is down Since today" in text
    assert 'value="25" aria-label="Step 7"' in restorer.get(f"{PAGE}{restoration.pk}/").content.decode()
    Run.objects.filter(pk=run.pk).update(steps=steps_at("start", "done"))
    assert "is down" not in text_of(restorer.get(f"{PAGE}{restoration.pk}/"))


def test_news_bring_single_steps_and_the_whole_list_where_it_grew(restorer: Client, cluster: Cluster) -> None:
    restoration = make_restoration(cluster)
    run = make_run(restoration, RunState.RUNNING, steps=steps_at("fetch"))
    address = f"{PAGE}{restoration.pk}/news/"
    page = restorer.get(f"{address}?steps={len(TITLES)}&newest={run.pk}&state=running&after=0").content.decode()
    assert 'id="r-step-1"' in page and 'id="r-steps"' not in page and f'id="run-{run.pk}"' not in page
    assert f"log-{run.pk}-lines" in page
    page = restorer.get(f"{address}?steps=0&newest=0&state=waiting").content.decode()
    assert 'id="r-steps"' in page and "afterbegin:#runs" in page


def test_percentages_are_not_said_to_screen_readers(restorer: Client, cluster: Cluster) -> None:
    restoration = make_restoration(cluster)
    make_run(restoration, RunState.RUNNING, steps=steps_at("swap", of=100, done=41))
    page = restorer.get(f"{PAGE}{restoration.pk}/").content.decode()
    said = re.findall(r'data-say="([^"]*)"', page)
    assert said and not any("41" in one or "%" in one for one in said)


def test_safety_copies_are_removed_by_the_name_of_the_cluster(restorer: Client, cluster: Cluster) -> None:
    restoration = make_restoration(cluster)
    run = make_run(restoration, RunState.SUCCESSFUL)
    for name in ("node1", "node2"):
        make_copy(run, name)
    assert "3.80 GB on 2 nodes" in text_of(restorer.get(PAGE))
    address = f"/runs/{run.pk}/safety-copies/remove/"
    assert "The way back to what plant held before" in text_of(restorer.get(address))
    assert 'id="id_typed_error"' in restorer.post(address, {"typed": "plan"}).content.decode()
    assert "is being removed" in text_of(restorer.post(address, {"typed": "plant"}, follow=True))
    assert "Is being removed." in text_of(restorer.get(PAGE))


def test_a_copy_that_may_be_needed_cannot_be_removed(restorer: Client, cluster: Cluster) -> None:
    restoration = make_restoration(cluster)
    run = make_run(restoration, RunState.UNKNOWN)
    make_copy(run)
    assert "In use by this restoration." in text_of(restorer.get(PAGE))
    assert "Remove now" not in text_of(restorer.get(PAGE))
    response = restorer.post(f"/runs/{run.pk}/safety-copies/remove/", {"typed": "plant"}, follow=True)
    assert "may still be needed" in text_of(response)


def test_an_unknown_state_leads_to_roll_back(restorer: Client, cluster: Cluster) -> None:
    restoration = make_restoration(cluster)
    make_copy(make_run(restoration, RunState.UNKNOWN))
    assert "Nobody knows how plant stands" in text_of(restorer.get(f"{PAGE}{restoration.pk}/"))
    address = f"{PAGE}{restoration.pk}/rollback/"
    assert "safety copies are put back" in text_of(restorer.get(address))
    assert "is rolled back" in text_of(restorer.post(address, follow=True))
    assert restoration.runs.first().kind == "rollback"


def test_a_deleted_task_keeps_its_page_and_history(restorer: Client, cluster: Cluster) -> None:
    restoration = make_restoration(cluster)
    run = make_run(restoration, RunState.FAILED, reason="The disk is full.")
    address = f"{PAGE}{restoration.pk}/delete/"
    assert "The set stays where it is" in text_of(restorer.get(address))
    assert "deleted. The set stays where it is." in text_of(restorer.post(address, follow=True))
    assert restoration.name not in text_of(restorer.get(f"{PAGE}?cluster={cluster.pk}"))
    text = text_of(restorer.get(f"{PAGE}{restoration.pk}/"))
    assert "was deleted" in text and "The disk is full." in text and "Retry" not in text
    assert restorer.get(f"/runs/{run.pk}/log/").status_code == 200
    assert restorer.get(address).status_code == 404


def test_what_could_not_be_read_is_listed_as_orphaned(restorer: Client, cluster: Cluster) -> None:
    restoration = make_restoration(cluster)
    found = {"orphans": ["/opt/iotdb/data/datanode/data/sequence/root.a/3"], "orphans_count": 412}
    make_run(restoration, RunState.WARNINGS, parameters=found)
    text = text_of(restorer.get(f"{PAGE}{restoration.pk}/"))
    assert "Orphaned data regions 412" in text and "root.a/3" in text and "The first 1 of 412." in text


def test_names_from_outside_are_text(restorer: Client, cluster: Cluster) -> None:
    evil = "<script>alert(1)</script>"
    restoration = make_restoration(cluster, source_task=evil, version=evil, files=[{**FILE, "name": evil}])
    for address in (PAGE, f"{PAGE}{restoration.pk}/", f"{PAGE}{restoration.pk}/start/"):
        assert evil not in restorer.get(address).content.decode()


def test_a_thousand_tasks_cost_as_many_questions_as_ten(restorer: Client, cluster: Cluster) -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert restorer.get(PAGE).status_code == 200
        return len(asked)

    for number in range(10):
        make_copy(make_run(make_restoration(cluster, f"few-{number}"), RunState.SUCCESSFUL))
    few = questions()
    for number in range(40):
        make_copy(make_run(make_restoration(cluster, f"many-{number}"), RunState.SUCCESSFUL))
    assert questions() == few
    page = restorer.get(PAGE).content.decode()
    assert page.count('<tr role="row" id="restoration-') == 25
    older = re.search(r'href="(\?before=\d+)"', page)
    assert older is not None
    assert "few-0" in restorer.get(PAGE + older[1]).content.decode()
