"""The two names that django-q may call. Nothing that goes wrong in them reaches its tables as text."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager

from django.db import DatabaseError
from django.utils import timezone
from django_q.exceptions import TimeoutException

from tasks import logcontext
from tasks.engine import dispatch, kinds, record
from tasks.engine.keeper import ends_on_term
from tasks.engine.lease import Lease, claim
from tasks.engine.record import Outcome
from tasks.models import Run
from tasks.notify import sender
from tasks.states import RunState

log = logging.getLogger(__name__)


def tick() -> None:
    """Do once a minute what nobody clicks for; see ``dispatch.tick``."""
    try:
        dispatch.tick(timezone.now())
    except Exception:
        log.exception("the tick failed and is repeated at the next minute")


def send_notifications() -> None:
    """Send what is in the outbox; see ``notify.sender``."""
    try:
        sender.run()
    except Exception:
        log.exception("messages could not be sent and are tried again at the next minute")


def execute_run(run_id: int) -> None:
    """Work on a run if it is to be had; delivered again, late or twice it does nothing."""
    try:
        with ends_on_term():
            lease = claim(run_id, timezone.now())
            if lease is None:
                return
            with _in_log(run_id):
                _carry_out(lease)
    except Exception:
        log.exception("run %s could not be taken or recorded", run_id, extra={"run": run_id})
    _offer_next()


def _in_log(run_id: int) -> AbstractContextManager[None]:
    """Return the context in which all lines of the log name the run, its task and its cluster."""
    names = "task__name", "restoration__name", "cluster__name"
    try:
        task, restoration, cluster = Run.objects.values_list(*names).get(pk=run_id)
    except DatabaseError:
        return logcontext.of_run(run_id)
    return logcontext.of_run(run_id, task or restoration or "", cluster)


def _carry_out(lease: Lease) -> None:
    """Carry the run out, and see to it that the run is ended afterwards, whatever happened."""
    reason = f"The run ended without a result. The server's log holds the details under run {lease.run_id}."
    code = "no-result"
    try:
        kinds.execute(lease)
    except TimeoutException:
        # The queue's own limit, far behind the time limit of a run: something ignored Keeper.check.
        log.error("run %s had to be broken off by the queue's time limit", lease.run_id)
        reason, code = "The run was broken off: it did not end at the time limit of a run.", "time-limit"
    except Exception:
        log.exception("run %s failed outside of its steps", lease.run_id)
    finally:
        ended = record.finish(lease.run_id, Outcome(RunState.FAILED, reason, code), timezone.now(), token=lease.token)
        if ended:
            record.write_line(lease.run_id, "ERROR", reason)
            kinds.after_loss(lease.run_id)


def _offer_next() -> None:
    try:
        dispatch.offer(timezone.now())
    except Exception:
        log.exception("the next run could not be offered; the tick does it")
