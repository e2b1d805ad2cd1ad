"""The forms of the five path types: order, labels and defaults of the seed, and what each refuses."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.datastructures import MultiValueDict

from storage.base import DestinationForm
from storage.registry import all_path_types, available_path_types, get_path_type

HOST_KEY = f"ssh-ed25519 SHA256:{'Q' * 43}"
COPIES = "Maximum Number of Backup Copies"
SERVER = ["IP Mode", "Server IP Address"]
ACCOUNT = [*SERVER, "Port", "Username", "Password", "Server Shared Path", COPIES]
SEED_LABELS = {
    "LocalDir": [COPIES],
    "NFS": [*SERVER, "Server Shared Path", COPIES],
    "RemoteHDFS": [
        "Destination NameService Name",
        "IP Mode",
        "Destination Active NameNode IP Address",
        "Destination Standby NameNode IP Address",
        "Destination NameNode RPC Port",
        "Target Path",
        COPIES,
    ],
    "CIFS": ACCOUNT,
    "SFTP": ACCOUNT,
}
GOOD: dict[str, dict[str, Any]] = {
    "LocalDir": {"copies": 7},
    "NFS": {"ip_mode": "ipv4", "server_ip": "10.50.1.20", "shared_path": "/export/iotdb", "copies": 7},
    "RemoteHDFS": {
        "name_service": "hacluster",
        "ip_mode": "ipv4",
        "active_ip": "10.60.2.11",
        "standby_ip": "10.60.2.12",
        "rpc_port": 8020,
        "target_path": "/backup/iotdb",
        "copies": 30,
    },
    "CIFS": {
        "ip_mode": "ipv4",
        "server_ip": "10.30.4.9",
        "port": 445,
        "username": "svc-iotdb",
        "password": "s3cret",
        "shared_path": "/iotdb/west",
        "copies": 14,
    },
    "SFTP": {
        "ip_mode": "ipv6",
        "server_ip": "fd12:20::18",
        "port": 22,
        "username": "iotdb-backup",
        "password": "s3cret",
        "shared_path": "/srv/backup/iotdb",
        "host_key": f"{HOST_KEY} fd12:20::18 22",
        "copies": 14,
    },
}


def form_of(name: str, stored: bool = False, initial: dict[str, Any] | None = None, **changes: Any) -> DestinationForm:
    """Return the form of a path type, bound to good values but for ``changes``; None leaves a field out."""
    values = {key: value for key, value in {**GOOD[name], **changes}.items() if value is not None}
    data: MultiValueDict[str, Any] = MultiValueDict({key: [str(value)] for key, value in values.items()})
    return get_path_type(name).form_class(data, initial=initial, stored=stored)


def error_of(name: str, field: str, **changes: Any) -> str:
    """Return the only error of a form, which has to stand at ``field``."""
    form = form_of(name, **changes)
    assert not form.is_valid()
    assert list(form.errors) == [field]
    return str(form.errors[field][0])


@pytest.mark.parametrize("name", SEED_LABELS)
def test_the_fields_are_those_of_the_seed_in_its_order(name: str) -> None:
    form = get_path_type(name).form_class()
    # What is not of the seed is optional.
    assert [field.label for field in form.fields.values() if field.required] == SEED_LABELS[name]


def test_the_order_of_path_types_is_that_of_the_seed() -> None:
    assert [path_type.name for path_type in all_path_types()] == list(SEED_LABELS)


@pytest.mark.parametrize("name", GOOD)
def test_good_values_are_taken_as_they_are(name: str) -> None:
    form = form_of(name)
    assert form.is_valid(), form.errors
    expected = GOOD[name] | ({"host_key": HOST_KEY} if name == "SFTP" else {})
    assert {key: form.cleaned_data[key] for key in expected} == expected


@pytest.mark.parametrize(("name", "port"), [("CIFS", 445), ("SFTP", 22)])
def test_default_ports(name: str, port: int) -> None:
    assert get_path_type(name).form_class().fields["port"].initial == port


@pytest.mark.parametrize("name", ["NFS", "RemoteHDFS", "CIFS", "SFTP"])
def test_ip_mode_is_preset_from_the_network_of_the_cluster(name: str) -> None:
    form = get_path_type(name).form_class(network="ipv6")
    assert form["ip_mode"].value() == "ipv6"
    kept = get_path_type(name).form_class(network="ipv6", initial={"ip_mode": "ipv4"})
    assert kept["ip_mode"].value() == "ipv4"


@pytest.mark.parametrize("name", ["NFS", "CIFS"])
def test_an_address_of_the_other_mode_names_both(name: str) -> None:
    expected = "fd12:20::18 is an IPv6 address but IP Mode is IPv4. Change one of them."
    assert error_of(name, "server_ip", server_ip="fd12:20::18") == expected


def test_an_ipv4_address_in_ipv6_mode() -> None:
    expected = "10.20.4.18 is an IPv4 address but IP Mode is IPv6. Change one of them."
    assert error_of("SFTP", "server_ip", server_ip="10.20.4.18") == expected


@pytest.mark.parametrize("field", ["active_ip", "standby_ip"])
def test_both_namenodes_are_held_against_ip_mode(field: str) -> None:
    assert "IP Mode is IPv4" in error_of("RemoteHDFS", field, **{field: "fd12::1"})


def test_the_two_namenodes_differ_however_they_are_written() -> None:
    addresses = {"ip_mode": "ipv6", "active_ip": "fd12::1", "standby_ip": "FD12:0:0:0:0:0:0:1"}
    message = error_of("RemoteHDFS", "standby_ip", **addresses)
    assert message == "fd12::1 is the address of the active NameNode too. Give that of the standby NameNode."


@pytest.mark.parametrize("port", ["0", "65536", "-1", "ssh", "22.5"])
def test_a_port_out_of_range(port: str) -> None:
    assert error_of("SFTP", "port", port=port) == "Give a port from 1 to 65535."


@pytest.mark.parametrize("name", GOOD)
def test_at_least_one_copy(name: str) -> None:
    assert error_of(name, "copies", copies=0) == "Keep at least 1 backup file set."
    assert "at least 1" in error_of(name, "copies", copies=None)


@pytest.mark.parametrize("name", ["NFS", "SFTP", "CIFS"])
@pytest.mark.parametrize("path", ["/", "//", "/./", "/././"])
def test_the_root_is_no_shared_path(name: str, path: str) -> None:
    assert error_of(name, "shared_path", shared_path=path).startswith("The root directory cannot be used.")


def test_cifs_understands_backslashes() -> None:
    form = form_of("CIFS", shared_path="iotdb\\west")
    assert form.is_valid()
    assert form.cleaned_data["shared_path"] == "/iotdb/west"


def test_a_blank_at_the_end_of_a_path_is_not_lost() -> None:
    form = form_of("NFS", shared_path="/export/iotdb ")
    assert form.is_valid()
    assert form.cleaned_data["shared_path"] == "/export/iotdb "


def test_a_missing_field_is_named_by_its_label() -> None:
    assert error_of("SFTP", "username", username=None) == "Username is missing. Fill it in."
    assert error_of("SFTP", "password", password=None) == "Type the password."


@pytest.mark.parametrize("name", ["CIFS", "SFTP"])
def test_a_password_is_never_written_into_the_page(name: str) -> None:
    assert "s3cret" not in form_of(name).as_p()


@pytest.mark.parametrize("name", ["CIFS", "SFTP"])
def test_a_password_keeps_its_blanks(name: str) -> None:
    form = form_of(name, password=" s3cret ")
    assert form.is_valid()
    assert form.cleaned_data["password"] == " s3cret "


@pytest.mark.parametrize("name", ["CIFS", "SFTP"])
def test_an_empty_password_keeps_the_stored_one(name: str) -> None:
    form = form_of(name, stored=True, initial=GOOD[name], password="", copies=3)
    assert form.is_valid(), form.errors
    assert 'placeholder="Unchanged"' in form.as_p()


@pytest.mark.parametrize("change", [{"server_ip": "10.9.9.9"}, {"username": "other"}, {"port": 4450}])
def test_a_stored_password_is_not_sent_elsewhere(change: dict[str, Any]) -> None:
    form = form_of("CIFS", stored=True, initial=GOOD["CIFS"], password="", **change)
    assert form.errors["password"] == ["Type the password: the stored one is for another server or username."]


def test_only_what_can_run_is_on_offer() -> None:
    assert [path_type.name for path_type in available_path_types()] == [
        path_type.name for path_type in all_path_types() if path_type.available
    ]
    assert get_path_type("LocalDir").available


def test_the_secrets_are_the_passwords() -> None:
    secrets = {path_type.name: path_type.secret_fields for path_type in all_path_types()}
    assert {name: fields for name, fields in secrets.items() if fields} == {
        "CIFS": ("password",),
        "SFTP": ("password", "private_key", "passphrase"),
    }


def test_summaries_say_where_the_files_go() -> None:
    assert get_path_type("RemoteHDFS").summary(GOOD["RemoteHDFS"]) == "hacluster/backup/iotdb"
    assert get_path_type("NFS").summary(GOOD["NFS"]) == "10.50.1.20"
