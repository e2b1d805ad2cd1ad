"""What the console remembers, by noun."""

from tasks.models.alarm import Alarm
from tasks.models.audit import AuditChain, AuditEvent
from tasks.models.cluster import Cluster, Node, Service
from tasks.models.days import ClusterDay, TaskDay
from tasks.models.maintenance import Maintenance
from tasks.models.management import ManagementNodes
from tasks.models.notification import (
    MailServer,
    Notice,
    NotificationChannel,
    NotificationSetting,
    OutboxMessage,
    TaskNotification,
)
from tasks.models.person import FormerPassword, Person, PersonSession, Preference
from tasks.models.pulse import Pulse
from tasks.models.refusal import Lockout, RefusalCount
from tasks.models.restoration import Restoration, SafetyCopy
from tasks.models.run import BackupFile, LogLine, Run
from tasks.models.space import DestinationSpace, SpaceDay
from tasks.models.task import BackupTask
from tasks.models.total import RunTotal

__all__ = [
    "Alarm",
    "AuditChain",
    "AuditEvent",
    "BackupFile",
    "BackupTask",
    "Cluster",
    "ClusterDay",
    "DestinationSpace",
    "FormerPassword",
    "Lockout",
    "LogLine",
    "MailServer",
    "Maintenance",
    "ManagementNodes",
    "Node",
    "Person",
    "PersonSession",
    "Notice",
    "NotificationChannel",
    "NotificationSetting",
    "OutboxMessage",
    "Preference",
    "Pulse",
    "RefusalCount",
    "Restoration",
    "Run",
    "RunTotal",
    "SafetyCopy",
    "Service",
    "SpaceDay",
    "TaskDay",
    "TaskNotification",
]
