"""Cells that a spreadsheet may open without harm."""

from __future__ import annotations

# What a spreadsheet takes for the beginning of a formula, or passes over before one (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def neutral(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
