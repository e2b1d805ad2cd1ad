"""The sentence that the homepage opens with. Pure: counts and names in, words out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.states import RunState

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ENDS = {
    RunState.SUCCESSFUL: "successful",
    RunState.WARNINGS: "with warnings",
    RunState.FAILED: "failed",
    RunState.POSTPONED: "postponed",
    RunState.STOPPED: "stopped",
}


@dataclass(frozen=True)
class Verdict:
    """``text`` is the sentence before ``names``, which are those of clusters, and ``rest`` what follows them."""

    text: str
    names: tuple[str, ...] = ()
    rest: str = ""

    @property
    def whole(self) -> str:
        """The whole sentence."""
        return " ".join(part for part in (self.text, listed(self.names, bool(self.others)), self.rest) if part)

    @property
    def others(self) -> bool:
        """Whether the names go on in ``rest``."""
        return self.rest.startswith("and ")


def verdict(
    total: int,
    protected: int,
    names: Sequence[str],
    others: int,
    attention: int,
    *,
    only: str = "",
    silent: bool = False,
) -> Verdict:
    """Return the verdict on ``total`` clusters, of which ``protected`` are.

    ``names`` are the clusters that need somebody and ``others`` how many more do; ``attention`` is how many things
    need attention; ``only`` is the name where there is one cluster. While the workers are silent nothing else counts:
    no backup starts.
    """
    if silent:
        return Verdict("No backup starts: the workers are silent.")
    if not total:
        return Verdict("No cluster is registered yet.")
    if total == 1:
        return _one(only, bool(protected), bool(names), attention)
    text = _protected(total, protected)
    if names:
        needs = "needs" if len(names) == 1 and not others else "need"
        more = f"and {in_letters(others)} {'other' if others == 1 else 'others'} " if others else ""
        return Verdict(text, tuple(names), f"{more}{needs} you.")
    return Verdict(f"{text} {_things(attention)}".strip())


def _one(name: str, protected: bool, needed: bool, attention: int) -> Verdict:
    if not protected:
        return Verdict("", (name,), "is not protected.")
    if needed:
        return Verdict("", (name,), "is protected, and needs you.")
    return Verdict("", (name,), f"is protected. {_things(attention)}".strip())


def _things(attention: int) -> str:
    if not attention:
        return ""
    what = "One thing needs" if attention == 1 else f"{in_letters(attention).capitalize()} things need"
    return f"{what} attention."


def _protected(total: int, protected: int) -> str:
    if protected == total:
        return f"{'Both' if total == 2 else f'All {in_letters(total)}'} clusters are protected."
    if not protected:
        return f"{'Neither of the two' if total == 2 else f'None of the {in_letters(total)}'} clusters is protected."
    verb = "is" if protected == 1 else "are"
    return f"{in_letters(protected).capitalize()} of {in_letters(total)} clusters {verb} protected."


def in_letters(number: int) -> str:
    """Return a number up to twelve in letters, a greater one in figures."""
    return _NUMBERS[number] if number < len(_NUMBERS) else f"{number:,}"


def last_day(ended: Mapping[RunState, int]) -> str:
    """Return how the backups of the last 24 hours ended: ``41 runs, 37 successful, 2 failed``."""
    total = sum(ended.values())
    if not total:
        return "no run ended"
    if len(ended) == 1:
        state = next(iter(ended))
        return f"{total:,} {'run' if total == 1 else 'runs'}, {'all ' if total > 1 else ''}{_ENDS[state]}"
    return ", ".join([f"{total:,} runs", *(f"{number:,} {_ENDS[state]}" for state, number in ended.items())])


def listed(names: Sequence[str], more: bool = False) -> str:
    """Return names in a sentence: ``a``, ``a and b``; with ``more`` to follow ``a, b``."""
    if len(names) < 2 or more:
        return ", ".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
