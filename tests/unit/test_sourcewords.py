"""Messages of a path type name the fields as the page of a source does."""

from __future__ import annotations

import pytest

from storage.checks import Check
from storage.errors import HostKeyChanged, PathMissing
from storage.registry import all_path_types
from tasks.sourcewords import check_of_source, error_of_source, of_source


@pytest.mark.parametrize(
    ("path_type", "told", "as_source"),
    [
        (
            "SFTP",
            "Make it on the server, or change Server Shared Path.",
            "Make it on the server, or change Source Path.",
        ),
        ("CIFS", "Correct the first part of Server Shared Path.", "Correct the first part of Source Path."),
        ("NFS", "Check Server Shared Path.", "Check Source Path."),
        ("RemoteHDFS", "Check Destination NameNode RPC Port.", "Check Source NameNode RPC Port."),
        ("LocalDir", "Server Shared Path is no field of it.", "Server Shared Path is no field of it."),
    ],
)
def test_fields_have_the_names_of_a_source(path_type: str, told: str, as_source: str) -> None:
    assert of_source(told, path_type) == as_source


def test_no_field_of_any_path_type_is_called_by_its_name_as_a_destination() -> None:
    for kind in all_path_types():
        told = " ".join(str(field.label) for field in kind.form_class.base_fields.values())
        assert not {"Destination", "Shared", "Target"} & set(of_source(told, kind.name).split()), kind.name


def test_an_error_stays_the_same_but_for_its_words() -> None:
    error = error_of_source(
        PathMissing("x is not there.", cure="Check Server Shared Path.", field="shared_path"), "NFS"
    )
    assert (type(error), str(error), error.field) == (PathMissing, "x is not there. Check Source Path.", "shared_path")
    changed = HostKeyChanged("Another key.", cure="Correct Server Shared Path.", host_key="ssh-ed25519 x")
    same = error_of_source(changed, "SFTP")
    assert isinstance(same, HostKeyChanged)
    assert (same.host_key, same.cure, changed.cure[-12:]) == ("ssh-ed25519 x", "Correct Source Path.", "Shared Path.")


def test_a_line_of_verify_is_told_in_the_words_of_a_source() -> None:
    line = check_of_source(Check("failed", "Path", "x", "Check Server Shared Path.", "shared_path"), "NFS")
    assert (line.cure, line.field, line.level) == ("Check Source Path.", "shared_path", "failed")
