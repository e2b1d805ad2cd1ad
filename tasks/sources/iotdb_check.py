"""What the Check button of a node shows: what is at its home, and whether a backup of it would be whole."""

from __future__ import annotations

from storage.errors import StoreError
from tasks.errors import SourceError
from tasks.hosts import connect
from tasks.hosts.base import Host
from tasks.sources.base import Finding, NodeSpec
from tasks.sources.iotdb_groups import copy_order
from tasks.sources.iotdb_running import is_running
from tasks.sources.iotdb_survey import Amount, NodeFacts, doubts, measure, open_layout, read_facts
from tasks.sources.listing import printable
from tasks.sources.seqlock import amount as shown_amount
from tasks.sources.sites import Site

_CURES = {
    "SimpleConsensus": "Move the ConfigNode to RatisConsensus.",
    "but not that role": "Give the node that role, or ignore this where another node of the service stands for it.",
    "no iotdb-system.properties": "Correct the IoTDB home where it lies elsewhere.",
    "is not known": "Start IoTDB once; it writes its version then.",
}


def check(node: NodeSpec) -> list[Finding]:
    """Return what is found at a node's home, the first obstacle last. Never raises for what it finds."""
    findings: list[Finding] = []
    try:
        with connect(node.host, node.name) as host:
            findings += _remarks(host)
            _look(host, node, findings)
    except SourceError as error:
        findings.append(Finding("failed", "IoTDB home", error.message, error.cure))
    except StoreError as error:
        findings.append(Finding("failed", "Connection", error.message, error.cure))
    return findings


def _look(host: Host, node: NodeSpec, findings: list[Finding]) -> None:
    layout = open_layout(host, node)
    findings.append(Finding("ok", "IoTDB home", f"{printable(node.home)} can be read."))
    known = read_facts(Site(host, node, layout))
    findings += _identity(known)
    findings += _sizes(known)
    findings += [Finding("warning", "Configuration", text, _cure(text)) for text in doubts(known)]


def _remarks(host: Host) -> list[Finding]:
    return [Finding("ok" if one.well else "warning", one.what, one.detail, one.cure) for one in host.remarks()]


def _identity(known: NodeFacts) -> list[Finding]:
    running = is_running(*known.site)
    state = "Running." if running else "Stopped; a backup of it is a cold copy."
    findings = [Finding("ok", "State", state)]
    if known.version:
        findings.append(Finding("ok", "Version", known.version))
    if known.cluster_id:
        findings.append(Finding("ok", "Cluster ID", known.cluster_id))
    return findings


def _sizes(known: NodeFacts) -> list[Finding]:
    findings, proven = [], set()
    for part in copy_order([(known.node, known.layout)]):
        held: Amount = measure(known.site.host, part)
        if held.proof:
            proven.add(part.role)
        if held.files or not part.optional:
            text = f"{shown_amount(held.files, held.bytes)} in {printable(part.path)}"
            label = part.label if part.role == "Node" else f"{part.role} {part.label}"
            findings.append(Finding("ok", label[0].upper() + label[1:], text))
        findings += [Finding("warning", "Not copied", sentence, "Move it out.") for sentence in held.refused]
    for role, wanted in (("ConfigNode", known.node.config_node), ("DataNode", known.node.data_node)):
        if wanted and role not in proven:
            cure = "Correct the role or the IoTDB home of the node; start IoTDB once if it is new."
            findings.append(Finding("failed", role, "No metadata of this role was found.", cure))
    if not (known.node.config_node or known.node.data_node):
        cure = "Choose ConfigNode, DataNode or both."
        findings.append(Finding("failed", "Role", "The node has neither of the two roles.", cure))
    return findings


def _cure(sentence: str) -> str:
    return next((cure for sign, cure in _CURES.items() if sign in sentence), "")
