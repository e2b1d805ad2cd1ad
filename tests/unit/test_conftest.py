"""The shared fixtures give what their names promise."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from tasks.engine.record import OUTCOME_STATES
from tasks.models import BackupTask, Node
from tasks.permissions import ROLES
from tasks.states import ACTIVE
from tests.conftest import MakeRun, Person


@pytest.mark.parametrize("role", ROLES)
def test_a_person_of_a_role_has_its_permissions_and_no_other(person: Person, role: str) -> None:
    found = User.objects.get(pk=person(role).pk).get_all_permissions()
    assert found == set(ROLES[role])


@pytest.mark.parametrize("state", [*ACTIVE, *OUTCOME_STATES.values()])
def test_a_run_of_every_state_is_one_that_the_database_allows(task: BackupTask, make_run: MakeRun, state: str) -> None:
    run = make_run(task, state)
    task.refresh_from_db()
    assert task.last_state == state
    assert run.files.count() == task.sets_kept == (1 if run.good else 0)


def test_the_node_has_the_real_sample(node: Node) -> None:
    from pathlib import Path

    assert (Path(node.home) / "conf" / "iotdb-system.properties").is_file()
