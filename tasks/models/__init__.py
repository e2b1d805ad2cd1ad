"""What the console remembers, by noun."""

from tasks.models.audit import AuditEvent
from tasks.models.cluster import Cluster, Node, Service
from tasks.models.management import ManagementNodes
from tasks.models.person import Preference
from tasks.models.pulse import Pulse
from tasks.models.run import BackupFile, LogLine, Run
from tasks.models.task import BackupTask

__all__ = [
    "AuditEvent",
    "BackupFile",
    "BackupTask",
    "Cluster",
    "LogLine",
    "ManagementNodes",
    "Node",
    "Preference",
    "Pulse",
    "Run",
    "Service",
]
