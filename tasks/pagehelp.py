"""Which short help stands on which page: by the name of the route, one text for pages that belong together."""

from __future__ import annotations

_PAGES = {
    "home": ("home",),
    "tasks": ("tasks",),
    "task": ("task-new", "task-configure", "task-copy"),
    "verify": ("task-verify",),
    "history": ("task-history",),
    "run": ("run-log",),
    "path": ("run-path",),
    "compare": ("task-compare",),
    "salvage": ("run-salvage",),
    "restorations": ("restorations",),
    "restoration-new": ("restoration-new", "restoration-new-source", "restoration-found"),
    "restoration": ("restoration",),
    "alarms": ("alarms", "alarms-cleared"),
    "alarm-rules": ("alarm-rules",),
    "clusters": ("clusters", "cluster-new", "cluster-edit"),
    "cluster": ("cluster", "service-new", "service-edit"),
    "node": ("node-new", "node-edit"),
    "management-nodes": ("management-nodes",),
    "rehearsals": ("rehearsals",),
    "people": ("people", "person-new", "person", "person-edit"),
    "lockouts": ("lockouts",),
    "account": ("preferences", "password", "sessions"),
    "notifications": ("notifications", "task-notifications", "notification-channel-new", "notification-channel"),
    "notifications-system": ("notifications-system",),
    "audit": ("audit", "audit-event"),
}
HELP = {route: f"help/{text}.html" for text, routes in _PAGES.items() for route in routes}
