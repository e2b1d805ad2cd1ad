"""A cluster that the live console can really restore, its servers played by stand-ins; and restorations to look at."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def home_of(directory: Path) -> Path:
    """Return the home of the cluster *museum* of the console whose data is in ``directory``."""
    return directory / "museum-home"


def seed(directory: Path) -> None:
    """Register the cluster *museum* with its home, and write restoration tasks of the cluster *attic*."""
    from tasks.models import Cluster, Node, Service
    from tasks.states import Control
    from tests.engine.restore_kit import command, move_ports

    home = home_of(directory)
    shutil.copytree(ROOT / "sample" / "iotdb-home", home, symlinks=True)
    move_ports(home)
    museum = Cluster.objects.create(name="museum", note="Can be restored")
    service = Service.objects.create(cluster=museum, name="IoTDB")
    commands = {
        f"{verb}_{field}": command(verb, role, home)
        for verb in ("start", "stop")
        for field, role in (("config_node", "ConfigNode"), ("data_node", "DataNode"))
    }
    Node.objects.create(service=service, name="node1", home=str(home), control=Control.COMMANDS, **commands)
    _rows()


def _rows() -> None:
    """One restoration task in each state that lasts."""
    from tasks.models import Cluster
    from tests.web.restoration_kit import LOSS, make_copy, make_restoration, make_run, steps_at

    attic = Cluster.objects.create(name="attic", note="Was restored")
    make_restoration(attic, "attic-unused")
    run = make_run(make_restoration(attic, "attic-restored"), "successful", steps=steps_at("start", "done"))
    make_copy(run, size=140_000_000)
    reason = "DataNode 10.40.1.7 did not start. Rolled back: metadata as before."
    make_run(
        make_restoration(attic, "attic-rolled-back"),
        "rolledback",
        steps=steps_at("start", "failed", text="DataNode 10.40.1.7 did not start."),
        reason=reason,
        parameters={"loss": dict(LOSS), "orphans": ["/opt/iotdb/data/datanode/data/sequence/root.line7/3"]},
    )
