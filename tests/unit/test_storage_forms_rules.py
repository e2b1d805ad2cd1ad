"""The rules of destination fields, with properties over any input."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.rules import (
    SYSTEM_DIRECTORIES,
    RuleBroken,
    clean_address,
    clean_cifs_path,
    clean_hdfs_path,
    clean_name_service,
    clean_shared_path,
    clean_username,
)

# Text that is dense in what matters to paths.
pathlike = st.text(alphabet=st.sampled_from("/\\.a:~ $\x00\n" + "Zß日"), max_size=24)
PATH_RULES: list[Callable[[str], str]] = [clean_shared_path, clean_cifs_path, clean_hdfs_path]


def refusal(rule: Callable[[str], str], value: str) -> str:
    """Return why ``rule`` refuses ``value``."""
    with pytest.raises(RuleBroken) as caught:
        rule(value)
    return str(caught.value)


@pytest.mark.parametrize("rule", PATH_RULES)
@given(text=pathlike)
def test_a_path_that_passes_stays_where_it_says(rule: Callable[[str], str], text: str) -> None:
    try:
        path = rule(text)
    except RuleBroken as broken:
        assert str(broken).endswith(".")
        return
    parts = path[1:].split("/")
    assert path.startswith("/")
    assert parts and all(part not in ("", ".", "..") for part in parts)
    assert "\\" not in path and not any(ord(letter) < 32 for letter in path)
    assert rule(path) == path


@given(text=pathlike)
def test_a_shared_path_keeps_every_name_to_the_letter(text: str) -> None:
    try:
        path = clean_shared_path(text)
    except RuleBroken:
        return
    assert path[1:].split("/") == [part for part in text.split("/") if part]


@pytest.mark.parametrize("rule", [clean_shared_path, clean_hdfs_path])
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "does not begin with /"),
        ("srv/backup", "does not begin with /"),
        (" /srv", "does not begin with /"),
        ("/", "root directory"),
        ("//", "root directory"),
        ("/./", "root directory"),
        ("/srv/../etc", "a part . or .."),
        ("/..", "a part . or .."),
        ("/srv/./x", "a part . or .."),
        ("/srv/a\x00b", "control character"),
        ("/srv/a\nb", "control character"),
        ("/" + "a" * 256, "more than 255 bytes"),
        ("/a" * 600, "1200 characters"),
    ],
)
def test_paths_that_are_refused(rule: Callable[[str], str], path: str, reason: str) -> None:
    assert reason in refusal(rule, path)


def test_a_path_is_tidied() -> None:
    assert clean_shared_path("//srv///backup/") == "/srv/backup"


def test_backslashes_are_for_cifs_only() -> None:
    assert "backslash" in refusal(clean_shared_path, "/srv\\backup")


@pytest.mark.parametrize(
    "text", ["backup\\iotdb", "\\backup\\iotdb", "/backup/iotdb", "backup/iotdb/", "backup//iotdb"]
)
def test_cifs_paths_in_all_their_forms(text: str) -> None:
    assert clean_cifs_path(text) == "/backup/iotdb"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "Name a share"),
        ("\\", "Name a share"),
        ("\\\\nas\\backup", "name of a server"),
        ("//nas/backup", "name of a server"),
        ("backup\\..\\other", "a part . or .."),
        ("backup\\a:b", "has : in it"),
        ("backup\\what?", "has ? in it"),
        ("backup\\dir.", "ends with a dot"),
        ("backup\\dir ", "ends with a blank"),
        ("backup\\NUL.txt", "keep for devices"),
        ("ipc$", "hold files"),
    ],
)
def test_cifs_paths_that_are_refused(path: str, reason: str) -> None:
    assert reason in refusal(clean_cifs_path, path)


@pytest.mark.parametrize("directory", SYSTEM_DIRECTORIES)
@pytest.mark.parametrize("form", ["{}", "{}/", "/{}", "{}/deep/below", "{}//x"])
def test_system_directories_of_hdfs(directory: str, form: str) -> None:
    message = refusal(clean_hdfs_path, form.format(directory))
    assert message.startswith(f"{directory} is a default system directory and cannot be used.")


def test_the_message_of_a_system_directory_is_that_of_the_look() -> None:
    assert refusal(clean_hdfs_path, "/hbase/backup") == (
        "/hbase is a default system directory and cannot be used. "
        "Give a directory of your own, for example /backup/iotdb."
    )


@pytest.mark.parametrize("path", ["/user/hbase/backup", "/user/hbase/backup/iotdb"])
def test_the_directories_that_the_seed_names(path: str) -> None:
    assert "default system directory" in refusal(clean_hdfs_path, path)


@pytest.mark.parametrize("path", ["/hbase-backup", "/user/hbasebackup", "/backup/hbase", "/HBASE", "/tmpfiles"])
def test_names_that_only_look_like_system_directories(path: str) -> None:
    assert clean_hdfs_path(path) == path


@given(st.lists(st.sampled_from(["a", "backup", ".snapshot", ".Trash", ".reserved", ".hidden", "..."]), min_size=1))
def test_no_hidden_directory_anywhere(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    if any(part.startswith(".") for part in parts):
        assert "hidden directory" in refusal(clean_hdfs_path, path)
    else:
        assert clean_hdfs_path(path) == path


def test_a_colon_is_not_for_hdfs() -> None:
    assert "does not take in names" in refusal(clean_hdfs_path, "/backup/a:b")


@given(st.ip_addresses(v=4))
def test_every_ipv4_address_is_told_from_ipv6(address: object) -> None:
    text = str(address)
    assert "is an IPv4 address but IP Mode is IPv6" in refusal(lambda value: clean_address(value, "ipv6"), text)
    try:
        assert clean_address(f" {text} ", "ipv4") == text
    except RuleBroken:
        parsed = ip_address(text)
        assert parsed.is_multicast or parsed.is_unspecified or text == "255.255.255.255"


@given(st.ip_addresses(v=6))
def test_an_ipv6_address_is_stored_in_its_shortest_form(address: object) -> None:
    parsed = ip_address(str(address))
    try:
        cleaned = clean_address(parsed.exploded, "ipv6")
    except RuleBroken:
        assert (
            parsed.is_multicast or parsed.is_unspecified or parsed.is_link_local or getattr(parsed, "ipv4_mapped", None)
        )
        return
    assert cleaned == parsed.compressed
    assert clean_address(cleaned, "ipv6") == cleaned


@given(st.text(max_size=20))
def test_any_text_is_an_address_or_refused_with_a_sentence(text: str) -> None:
    for mode in ("ipv4", "ipv6"):
        try:
            ip_address(clean_address(text, mode))
        except RuleBroken as broken:
            assert str(broken).endswith(".")


@pytest.mark.parametrize(
    ("address", "mode", "reason"),
    [
        ("", "ipv4", "Give the IP address"),
        ("backup.example", "ipv4", "is not an IP address"),
        ("010.1.1.1", "ipv4", "is not an IP address"),
        ("10.1.1.1%eth0", "ipv4", "is not an IP address"),
        ("10.1.1.1/24", "ipv4", "without brackets, port or mask"),
        ("[fd12::1]", "ipv6", "without brackets"),
        ("0.0.0.0", "ipv4", "stands for no address"),
        ("::", "ipv6", "stands for no address"),
        ("224.0.0.1", "ipv4", "group of hosts"),
        ("255.255.255.255", "ipv4", "group of hosts"),
        ("ff02::1", "ipv6", "group of hosts"),
        ("::ffff:10.0.0.1", "ipv6", "Give 10.0.0.1 and set IP Mode to IPv4"),
        ("fe80::1", "ipv6", "fe80::1%eth0"),
        ("fd12::1%eth0", "ipv6", "only link-local addresses have"),
        ("fe80::1%a b", "ipv6", "Leave it out"),
    ],
)
def test_addresses_that_are_refused(address: str, mode: str, reason: str) -> None:
    assert reason in refusal(lambda value: clean_address(value, mode), address)


@pytest.mark.parametrize(("address", "mode"), [("127.0.0.1", "ipv4"), ("::1", "ipv6"), ("fe80::1%eth0", "ipv6")])
def test_addresses_that_are_taken(address: str, mode: str) -> None:
    assert clean_address(address, mode) == address


@pytest.mark.parametrize("name", ["hacluster", "haclusterX1", "ns_1", "ns.prod-2"])
def test_name_services_that_are_taken(name: str) -> None:
    assert clean_name_service(f" {name} ") == name


@pytest.mark.parametrize("name", ["", "-ha", "ha cluster", "ha/cluster", "ha:8020", "a" * 65])
def test_name_services_that_are_refused(name: str) -> None:
    assert "letters, digits" in refusal(clean_name_service, name)


def test_user_names() -> None:
    assert clean_username(" DOMAIN\\svc ") == "DOMAIN\\svc"
    assert "control character" in refusal(clean_username, "a\tb")
