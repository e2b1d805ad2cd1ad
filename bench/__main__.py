"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from .registry import BENCHES, Options, load


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command line taken apart."""
    listed = "; ".join(f"{name}: {about}" for name, (_, about) in BENCHES.items())
    parser = argparse.ArgumentParser(prog="python -m bench", description=f"Run the benchmarks. {listed}.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; all where none is named")
    parser.add_argument("--quick", action="store_true", help="small corpora, about half a minute")
    parser.add_argument("--rounds", type=int, help="how often each command is run")
    parser.add_argument("--size", type=int, metavar="MIB", help="how much is uploaded to each store (10240: 10 GiB)")
    parser.add_argument(
        "--dir",
        type=Path,
        help="where corpora and archives go (default: temporary; tmpfs leaves the disk out)",
    )
    parser.add_argument(
        "--database", choices=("sqlite", "postgresql", "both"), default="both", help="which ones web and due use"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a target is missed")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHES]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds is at least 1")
    if options.size is not None and options.size < 1:
        parser.error("--size is at least 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; 1 where ``--strict`` was given and a target was missed."""
    chosen = parse(arguments)
    options = Options(
        quick=chosen.quick, rounds=chosen.rounds, size=chosen.size, directory=chosen.dir, database=chosen.database
    )
    results: dict[str, Any] = {}
    missed: list[str] = []
    for name in chosen.names or BENCHES:
        outcome = load(name)(options)
        options.say(outcome.text)
        results[name] = outcome.data
        missed += outcome.missed
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1) + "\n")
    return 1 if missed and chosen.strict else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # corpora are removed on the way out
    sys.exit(main())
