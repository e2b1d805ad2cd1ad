"""The README's table of settings is the list of what the code reads, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()


def test_every_setting_is_in_the_table_and_no_other() -> None:
    sources = [*(ROOT / "backupconsole").glob("*.py"), *(ROOT / "tasks" / "management").rglob("*.py")]
    read = {name for file in sources for name in re.findall(r'env_\w+\(\s*"([A-Z_]+)"', file.read_text())}
    table = README.split("## Settings")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `([A-Z_]+)`", table, re.MULTILINE)) == read


def test_every_command_it_names_is_a_target_of_make() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", re.sub(r"GNU make[^\n]*|where make[^\n]*", "", README))) <= targets


def test_every_place_it_names_is_there() -> None:
    layout = README.split("## How it is laid out")[1].split("```")[1]
    indent: list[str] = []
    for line in filter(None, layout.splitlines()):
        depth = (len(line) - len(line.lstrip())) // 2
        indent[depth:] = [line.split()[0]]
        assert (ROOT / "".join(indent)).is_dir(), line
