"""A search for sets between two pages: kept in the session of who began it, for half an hour, its secrets sealed.

What was typed as a password is in no page and in no row in clear; it is sealed for the person and the moment, so that
it opens in no other session. One session has one search: a newer one takes the place of the one before.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta

from django.contrib.sessions.backends.base import SessionBase
from django.db.models import QuerySet

from storage.errors import ConsoleError
from tasks import vault
from tasks.findsets import SourcePath
from tasks.models import Cluster
from tasks.services.findsets import Search

_KEY = "search_for_sets"
LASTS = timedelta(minutes=30)


class SearchOver(ConsoleError):
    """There is no search in the session, or it is too old."""

    code = "search-over"


def keep(session: SessionBase, search: Search, person: int, now: datetime) -> None:
    """Keep ``search`` in the session of the person with that key."""
    session[_KEY] = {
        "begun": now.isoformat(),
        "name": search.name,
        "cluster": search.cluster.pk,
        "path_type": search.path_type,
        "parameters": dict(search.parameters),
        "source": asdict(search.source),
        "sealed": vault.seal(search.secrets, _row(person, now.isoformat())),
    }


def kept(session: SessionBase, person: int, now: datetime, clusters: QuerySet[Cluster]) -> Search:
    """Return the search of the session for one of ``clusters``; raise ``SearchOver`` where there is none that holds."""
    stored = session.get(_KEY)
    over = SearchOver("The search for sets is over.", cure="Fill in the fields and find the sets again.")
    if not stored or not timedelta(0) <= now - datetime.fromisoformat(stored["begun"]) < LASTS:
        forget(session)
        raise over
    cluster = clusters.filter(pk=stored["cluster"]).first()
    if cluster is None:
        raise over
    return Search(
        name=stored["name"],
        cluster=cluster,
        path_type=stored["path_type"],
        parameters=stored["parameters"],
        source=SourcePath(**stored["source"]),
        secrets=vault.unseal(stored["sealed"], _row(person, stored["begun"])),
    )


def forget(session: SessionBase) -> None:
    """Keep no search any more."""
    session.pop(_KEY, None)


def _row(person: int, begun: str) -> str:
    return f"search of person {person} at {begun}"
