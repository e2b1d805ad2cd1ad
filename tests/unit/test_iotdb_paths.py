"""Paths, names and strings of IoTDB."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.iotdb.paths import device_of, identifier, measurement_of, name, nodes_of, pairs, string
from tasks.iotdb.salvage_sql import options, path

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
plain = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), max_size=20)


@pytest.mark.parametrize(
    ("shown", "device", "measurement"),
    [
        ("root.plant1.line1.s0", "root.plant1.line1", "s0"),
        ("root.odd.`d.1`.`a b`", "root.odd.`d.1`", "`a b`"),
        ("root.zz.1a.`x``y`", "root.zz.1a", "`x``y`"),
        ("root.zz.`.`.`.``.`", "root.zz.`.`", "`.``.`"),
        ("root.日本.é", "root.日本", "é"),
    ],
)
def test_a_path_is_taken_apart_at_the_right_dot(shown: str, device: str, measurement: str) -> None:
    assert (device_of(shown), measurement_of(shown)) == (device, measurement)
    assert ".".join(nodes_of(shown)) == shown


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=5))
def test_any_names_make_a_path_that_comes_apart_again(names: list[str]) -> None:
    quoted = [f"`{one.replace('`', '``')}`" for one in names]
    assert nodes_of(".".join(["root", *quoted])) == ["root", *quoted]


@settings(deadline=None)
@given(texts)
def test_a_name_is_either_plain_or_one_pair_of_backquotes(text: str) -> None:
    quoted = name(text)
    if quoted == text:
        assert re.fullmatch(r"\w+", text) and not text[0].isdigit()
        assert text.lower() not in ("root", "time", "timestamp")
    else:
        assert re.fullmatch(r"`(?:[^`]|``)+`", quoted)
        assert quoted[1:-1].replace("``", "`") == text


@settings(deadline=None)
@given(texts)
def test_strings_and_identifiers_can_be_read_back(text: str) -> None:
    assert re.fullmatch(r"'(?:[^']|'')*'", string(text))
    assert string(text)[1:-1].replace("''", "'") == text
    assert re.fullmatch(r'"(?:[^"]|"")*"', identifier(text))
    assert identifier(text)[1:-1].replace('""', '"') == text


@settings(deadline=None)
@given(st.dictionaries(plain, plain, max_size=5))
def test_tags_without_quotes_are_read_without_doubt(tags: dict[str, str]) -> None:
    shown = "{" + ",".join(f'"{key}":"{value}"' for key, value in tags.items()) + "}"
    assert pairs(shown) == (tags, False)


@pytest.mark.parametrize(
    ("shown", "tags"),
    [
        ('{"description":"línea "17"","max":"100"}', {"description": 'línea "17"', "max": "100"}),
        ('{"the owner":"x\\y","unit":"a\'b"c"}', {"the owner": "x\\y", "unit": "a'b\"c"}),
        ('{"d":"""}', {"d": '"'}),
    ],
)
def test_quotes_that_the_server_does_not_escape_are_read_with_doubt(shown: str, tags: dict[str, str]) -> None:
    assert pairs(shown) == (tags, True)


@pytest.mark.parametrize("shown", [None, "", "{}"])
def test_no_tags(shown: str | None) -> None:
    assert pairs(shown) == ({}, False)


def test_a_node_that_is_a_word_of_the_language_gets_its_backquotes_back() -> None:
    assert path("root.zz.d2.root") == "root.zz.d2.`root`"
    assert path("root.zz.Time.`a b`") == "root.zz.`Time`.`a b`"


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (None, {}),
        ("{}", {}),
        ("{compdev=0.01, compmintime=2}", {"compdev": "0.01", "compmintime": "2"}),
        (
            "{sink=iotdb-thrift-sink, sink.node-urls=10.0.0.1:6667,10.0.0.2:6667}",
            {"sink": "iotdb-thrift-sink", "sink.node-urls": "10.0.0.1:6667,10.0.0.2:6667"},
        ),
    ],
)
def test_options_are_read_with_commas_in_their_values(shown: str | None, found: dict[str, str]) -> None:
    assert options(shown) == found
