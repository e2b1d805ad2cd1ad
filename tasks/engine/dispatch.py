"""From due to queued to handed out: what the tick does, and what a click does at once.

Due occurrences become rows; rows are offered to the workers as far as there are free slots; workers claim them
(``lease.claim``). Each step may be done twice or by two machines at once without harm: occurrences are unique, offers
are conditional, claims too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Q, When
from django_q.models import OrmQ, Schedule
from django_q.tasks import async_task

from tasks import logcontext
from tasks.auditing.refusals import close_counts
from tasks.auditing.watch import look_after
from tasks.engine import proofs, spaces
from tasks.engine.clockback import put_right
from tasks.engine.due import IS_DUE, queue_due
from tasks.engine.kinds import after_loss
from tasks.engine.lease import first_in_line, free_slots, reap
from tasks.engine.pruning import prune
from tasks.engine.restore.expiry import remove_expired
from tasks.engine.restore.settling import queue_rollbacks
from tasks.engine.sweep import sweep_spool
from tasks.engine.watches import clocks, silence
from tasks.engine.watching import WATCHES
from tasks.lockout import standing
from tasks.maintenance import lapse
from tasks.models import BackupTask, Maintenance, Pulse, Run
from tasks.models.run import PROOFS
from tasks.notify import sender
from tasks.states import RunState

log = logging.getLogger(__name__)
TICK = "tasks.jobs.tick"
EXECUTE = "tasks.jobs.execute_run"
SEND = "tasks.jobs.send_notifications"
_HERE = f"{settings.HOST_NAME}/"


def tick(now: datetime) -> None:
    """Give up lost runs, queue backups and proofs that are due, offer what waits, clear up after the lost.

    Beats ``Pulse`` *tick*.

    Before that, what a clock that was set back has left in the future is put right.

    A step that fails is logged and does not keep the others from their work. The last step talks to destinations and
    may take long; the workers are one more than runs and ticks need, so that the next tick comes all the same.
    """
    before = Pulse.last("tick")
    Pulse.beat("tick", now)
    lost: list[int] = []

    def give_up_lost() -> int:
        lost.extend(reap(now))
        queue_rollbacks(now)
        return len(lost)

    _step("silence", lambda: silence.broken(now))
    _step("set back", lambda: clocks.ticked(before, now))
    _step("clock", lambda: put_right(now))
    _step("maintenance", lambda: lapse(now))
    done = [
        _step("lost", give_up_lost),
        _step("due", lambda: queue_due(now)),
        _step("proofs", lambda: proofs.queue_due(now)),
        _step("offered", lambda: offer(now)),
        *(_step(name, partial(watch, now)) for name, watch in WATCHES.items()),
        _step("messages", lambda: request_sender(now)),
    ]
    Pulse.beat("tick", now, ", ".join(done)[:200])
    for run_id in lost:
        with logcontext.of_run(run_id):
            log.warning("run %s was given up: its worker was lost", run_id)
            _step("swept", partial(after_loss, run_id))
    _step("spool", sweep_spool)
    _step("space", lambda: spaces.watch(now))
    _step("safety copies", lambda: remove_expired(now))
    _step("lockouts", lambda: standing.look_after(now))
    _step("refusals", lambda: close_counts(now))
    _step("audit", lambda: look_after(now))
    _step("records", lambda: prune(now))


def _step(name: str, work: Callable[[], object]) -> str:
    try:
        return f"{name} {work()}"
    except Exception:
        log.exception("the tick could not finish its step: %s", name)
        return f"{name} failed"


def offer(now: datetime) -> int:
    """Hand the runs that may start to the workers, oldest first, proofs last, up to the free slots; return how many.

    An offer that nobody took within twice ``STALL_SECONDS`` no longer holds a slot and is made again. None is made
    during maintenance.
    """
    stale = now - timedelta(seconds=2 * settings.STALL_SECONDS)
    open_offers = Run.objects.filter(state=RunState.WAITING, offered_at__gt=stale).count()
    room = free_slots() - open_offers
    if room <= 0:
        return 0
    unoffered = Q(offered_at__isnull=True) | Q(offered_at__lte=stale)
    last = Case(When(kind__in=PROOFS, then=1), default=0)
    may_start = first_in_line(Maintenance.current(), now).filter(unoffered)
    candidates = may_start.order_by(last, "queued_at", "pk").values_list("pk", flat=True)[:room]
    return sum(_offer_one(pk, now, unoffered) for pk in list(candidates))


@transaction.atomic
def _offer_one(run_id: int, now: datetime, unoffered: Q) -> bool:
    """Mark one run as offered and put its id into the queue, both or neither; False when somebody else did."""
    if not Run.objects.filter(unoffered, pk=run_id, state=RunState.WAITING).update(offered_at=now):
        return False
    async_task(EXECUTE, run_id, q_options={"save": False})
    return True


# --- What the supervisor of the workers asks for --------------------------------------------------------------------
def ensure_tick_scheduled(now: datetime) -> None:
    """See to it that django-q has exactly one schedule of the tick: every minute, from the next full one on."""
    fields = {
        "func": TICK,
        "schedule_type": Schedule.MINUTES,
        "minutes": 1,
        "repeats": -1,
        "kwargs": "q_options={'save': False}",
        "next_run": now.replace(second=0, microsecond=0) + timedelta(minutes=1),
    }
    with transaction.atomic():
        kept = Schedule.objects.select_for_update().filter(name="tick").order_by("pk").first()
        if kept is None:
            kept = Schedule.objects.create(name="tick", **fields)
        else:
            Schedule.objects.filter(pk=kept.pk).update(**fields)
        Schedule.objects.filter(Q(name="tick") | Q(func=TICK)).exclude(pk=kept.pk).delete()


def request_tick() -> None:
    """Have a worker tick now, without waiting for the minute."""
    async_task(TICK, q_options={"save": False})


def request_sender(now: datetime) -> int:
    """Have a worker send messages to people where there are any; the tick does not wait for servers of others."""
    if not sender.wanted(now):
        return 0
    async_task(SEND, q_options={"save": False})
    return 1


def forget_offers() -> None:
    """Take back all offers: the workers that had them are gone. The next tick makes them again.

    What was under way in the queue goes with them; a row that another machine works on is only its receipt.
    """
    OrmQ.objects.all().delete()
    Run.objects.filter(state=RunState.WAITING, offered_at__isnull=False).update(offered_at=None)


def wants_tick(now: datetime) -> bool:
    """Tell whether a tick would do something now: a run is lost, a task is due, or a run waits although it need not."""
    if Run.objects.filter(state=RunState.RUNNING, lease_until__lt=now).exists():
        return True
    if BackupTask.objects.filter(IS_DUE, next_run_at__lte=now).exists():
        return True
    may_start = first_in_line(Maintenance.current(), now).filter(offered_at__isnull=True)
    return may_start.exists() and free_slots() > 0


def stalled(now: datetime) -> int | None:
    """Return the id of a run that was offered ``STALL_SECONDS`` ago and not taken although a slot is free."""
    if not free_slots():
        return None
    limit = now - timedelta(seconds=settings.STALL_SECONDS)
    may_start = first_in_line(Maintenance.current(), now).filter(offered_at__lte=limit)
    return may_start.values_list("pk", flat=True).first()


def working() -> set[int]:
    """Return the ids of the processes on this host that work on a run."""
    workers = Run.objects.filter(state=RunState.RUNNING, worker__startswith=_HERE).values_list("worker", flat=True)
    return {int(pid) for pid in (worker.removeprefix(_HERE) for worker in workers) if pid.isdigit()}


def declare_lost(pids: set[int], now: datetime) -> int:
    """Let the leases of processes of this host that are known to be gone run out at once; return how many."""
    workers = [f"{_HERE}{pid}" for pid in pids]
    return Run.objects.filter(state=RunState.RUNNING, worker__in=workers, lease_until__gt=now).update(lease_until=now)
