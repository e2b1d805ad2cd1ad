"""Property files as Java reads them, and the directories they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.hosts import LocalHost
from tasks.sources.iotdb_properties import DEFAULTS, parse, read_layout

HOST = LocalHost()


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("a=b", {"a": "b"}),
        ("# note\n! note\n\n a = b c \n", {"a": "b c "}),
        ("a:b\nc d\ne", {"a": "b", "c": "d", "e": ""}),
        ("list=0,127.0.0.1\\:10710", {"list": "0,127.0.0.1:10710"}),
        ("a=one,\\\n   two", {"a": "one,two"}),
        ("a=one\\\\\nb=two", {"a": "one\\", "b": "two"}),
        ("k\\=ey=\\u00e4\\t.", {"k=ey": "ä\t."}),
        ("a=b\r\nc=d\re=f", {"a": "b", "c": "d", "e": "f"}),
        ("a=1\na=2", {"a": "2"}),
        ("a=end\\", {"a": "end"}),
    ],
)
def test_reads_property_files_as_java_does(text: str, pairs: dict[str, str]) -> None:
    assert parse(text) == pairs


def write(home: Path, name: str, text: str) -> None:
    path = home / "conf" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_directories_have_defaults_below_the_home(tmp_path: Path) -> None:
    layout = read_layout(HOST, str(tmp_path))
    assert not layout.configured
    assert layout.directories == {name: str(tmp_path / path) for name, path in DEFAULTS.items()}


def test_directories_of_the_properties_are_relative_to_the_home_or_absolute(tmp_path: Path) -> None:
    write(
        tmp_path, "iotdb-system.properties", "dn_system_dir=disk1/./system\ncn_consensus_dir=/disk2/cn\nudf_lib_dir=\n"
    )
    directories = read_layout(HOST, str(tmp_path)).directories
    assert directories["dn_system_dir"] == str(tmp_path / "disk1/system")
    assert directories["cn_consensus_dir"] == "/disk2/cn"
    assert directories["udf_lib_dir"] == str(tmp_path / "ext/udf")


def test_the_three_older_files_are_read_where_the_one_is_not_there(tmp_path: Path) -> None:
    write(tmp_path, "iotdb-confignode.properties", "cn_system_dir=/a")
    write(tmp_path, "iotdb-datanode.properties", "dn_system_dir=/b")
    write(tmp_path, "iotdb-common.properties", "udf_lib_dir=/c")
    layout = read_layout(HOST, str(tmp_path))
    assert layout.configured
    assert [layout.directories[name] for name in ("cn_system_dir", "dn_system_dir", "udf_lib_dir")] == [
        "/a",
        "/b",
        "/c",
    ]
    write(tmp_path, "iotdb-system.properties", "cn_system_dir=/new")
    layout = read_layout(HOST, str(tmp_path))
    assert layout.directories["cn_system_dir"] == "/new"
    assert layout.directories["dn_system_dir"] == str(tmp_path / DEFAULTS["dn_system_dir"])


def test_identity_is_empty_where_the_node_never_started(tmp_path: Path) -> None:
    assert read_layout(HOST, str(tmp_path)).config_identity(HOST) == {}
    assert read_layout(HOST, str(tmp_path)).data_identity(HOST) == {}
