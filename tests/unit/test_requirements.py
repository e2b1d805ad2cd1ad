"""The requirements files are whole: what the code imports and what that needs in turn is pinned, and nothing twice."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = {"backupconsole", "tasks", "storage", "bench", "sample", "tests"}


def pins(name: str) -> dict[str, str]:
    """Return the version of each package that a requirements file pins, by its canonical name."""
    lines = (ROOT / name).read_text().splitlines()
    pairs = [line.split("==") for line in lines if "==" in line]
    assert len({canonical(package) for package, _ in pairs}) == len(pairs), "a package is pinned twice"
    return {canonical(package): version for package, version in pairs}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imports(*folders: str) -> Iterator[str]:
    """Return the top-level names that the Python files of some folders import."""
    for folder in folders:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    yield from (alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.split(".")[0]


def foreign(*folders: str) -> set[str]:
    """Return the packages that some folders import, by canonical name."""
    where = packages_distributions()
    names = set(imports(*folders)) - OURS - set(sys.stdlib_module_names)
    return {canonical(where[name][0]) if name in where else name for name in names}


def test_what_the_console_imports_is_pinned_for_running() -> None:
    assert foreign("backupconsole", "tasks", "storage") - set(pins("requirements.txt")) == set()


def test_what_tests_import_is_pinned_for_development() -> None:
    everything = pins("requirements.txt") | pins("requirements-dev.txt")
    assert foreign("tests", "bench", "sample") - set(everything) - {"tests"} == set()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_what_the_packages_need_is_pinned_and_installed_so(name: str) -> None:
    known = pins("requirements.txt") | pins(name)
    for package, version in pins(name).items():
        found = distribution(package)
        assert found.version == version
        for text in found.requires or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert canonical(needed.name) in known, f"{package} needs {needed.name}"
