"""Capture the sample anew: start a real IoTDB on the default ports, fill it, stop it, keep what is metadata.

Run from the root of the repository:  python sample/capture.py
Needs Java 17, javac, Maven (the first time) and the default ports of IoTDB free. Replaces sample/iotdb-home and
sample/inventory.json.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.servers.iotdb import IoTDB  # noqa: E402
from tests.servers.iotdb_jars import VERSION, distribution  # noqa: E402
from tests.servers.iotdb_metadata import counts, create_metadata, digests, inventory  # noqa: E402

KEPT = (
    "conf/iotdb-system.properties",
    "data/confignode",
    "data/datanode/consensus",
    "data/datanode/system",
    "data/datanode/data/sequence",
    "ext",
)
LIMIT = 1 << 20


def main() -> None:
    """Capture into a scratch directory first: the sample is replaced only by a whole one."""
    with tempfile.TemporaryDirectory(prefix="iotdb-sample-") as name:
        scratch = Path(name)
        home = scratch / "home"
        home.mkdir()
        server = IoTDB.start(home, 0)
        create_metadata(server, build_jar(scratch))
        found = inventory(server)
        server.stop()
        kept = scratch / "kept"
        for part in KEPT:
            keep(home / part, kept / part)
        refuse_traces(kept, (str(scratch), str(HERE.parent)))
        shutil.rmtree(HERE / "iotdb-home", ignore_errors=True)
        shutil.copytree(kept, HERE / "iotdb-home")
    note = {"version": VERSION, "counts": counts(found), "statements": digests(found)}
    (HERE / "inventory.json").write_text(json.dumps(note, indent=1, sort_keys=True) + "\n")
    print(json.dumps(note["counts"], indent=1))


def build_jar(scratch: Path) -> Path:
    """Compile the function and the trigger of the sample and return their jar."""
    classes, jar = scratch / "classes", scratch / "sample-functions.jar"
    sources = sorted(str(path) for path in (HERE / "udf").glob("*.java"))
    subprocess.run(["javac", "-cp", f"{distribution()}/*", "-d", str(classes), *sources], check=True)
    subprocess.run(["jar", "cf", str(jar), "-C", str(classes), "."], check=True)
    return jar


def keep(source: Path, target: Path) -> None:
    """Copy a file or a tree without lock files, which name the process that held them."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("in_use.lock", ".iotdb-lock"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def refuse_traces(kept: Path, traces: tuple[str, ...]) -> None:
    """End with a message where a kept file names a path of this machine, or where all together are too large."""
    files = [path for path in kept.rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes()
        if any(trace.encode() in content for trace in traces):
            sys.exit(f"{path.relative_to(kept)} names a path of this machine; the sample stays as it was.")
    if (size := sum(path.stat().st_size for path in files)) > LIMIT:
        sys.exit(f"{size} bytes are more than {LIMIT}; the sample stays as it was.")


if __name__ == "__main__":
    main()
