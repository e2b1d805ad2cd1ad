"""Every verb that a person or a program can do.

Views, admin and commands call these and nothing deeper. Each verb checks the permission, changes the database in one
transaction, writes the audit, and raises ``Refused`` with the reason where the present state does not allow it.
"""

from tasks.services.account import change_own_password, change_own_profile, end_session, end_sessions
from tasks.services.alarms import acknowledge_alarm, acknowledge_alarms, clear_alarm, take_back_acknowledgement
from tasks.services.asking import check_service
from tasks.services.bulk import BulkResult, do_in_bulk
from tasks.services.findsets import Search, begin_search, find_sets, restore_found, verify_source
from tasks.services.inventory import (
    check_node,
    delete_cluster,
    delete_node,
    delete_service,
    save_cluster,
    save_node,
    save_service,
    verify_node,
)
from tasks.services.lockouts import end_lockout, end_lockouts
from tasks.services.maintenance import change_maintenance, end_maintenance, set_maintenance
from tasks.services.people import (
    PersonDraft,
    change_person,
    create_person,
    disable_person,
    enable_person,
    set_one_time_password,
)
from tasks.services.proofs import check_set, rehearse
from tasks.services.restorations import (
    RestorationDraft,
    confirm_restoration,
    create_restoration,
    delete_restoration,
    restore_from_run,
    roll_back,
    start_restoration,
)
from tasks.services.runs import back_up_now, stop_run
from tasks.services.safety_copies import remove_safety_copies
from tasks.services.salvage import Salvage, salvage_set
from tasks.services.tasks import TaskDraft, configure_task, create_task, delete_task, resume_task, suspend_task
from tasks.services.verify import DestinationDraft, verify_destination, verify_draft

__all__ = [
    "BulkResult",
    "DestinationDraft",
    "PersonDraft",
    "RestorationDraft",
    "Salvage",
    "Search",
    "TaskDraft",
    "acknowledge_alarm",
    "acknowledge_alarms",
    "back_up_now",
    "begin_search",
    "change_maintenance",
    "change_own_password",
    "change_own_profile",
    "change_person",
    "check_node",
    "check_service",
    "check_set",
    "clear_alarm",
    "configure_task",
    "confirm_restoration",
    "create_person",
    "create_restoration",
    "create_task",
    "delete_cluster",
    "delete_node",
    "delete_restoration",
    "delete_service",
    "delete_task",
    "disable_person",
    "do_in_bulk",
    "enable_person",
    "end_maintenance",
    "end_session",
    "end_sessions",
    "end_lockout",
    "end_lockouts",
    "find_sets",
    "rehearse",
    "remove_safety_copies",
    "restore_found",
    "restore_from_run",
    "resume_task",
    "roll_back",
    "salvage_set",
    "save_cluster",
    "save_node",
    "save_service",
    "set_maintenance",
    "set_one_time_password",
    "start_restoration",
    "stop_run",
    "suspend_task",
    "take_back_acknowledgement",
    "verify_destination",
    "verify_draft",
    "verify_node",
    "verify_source",
]
