"""Asking again for what was lost on the way: a queue that was down, a worker that was killed, a
player who left."""

import redis

from app.infra.queue import enqueue
from app.infra.settings import get_settings
from app.services import (
    accounts,
    concept_search,
    contrasts,
    dealing,
    drafts,
    export_jobs,
    global_explanations,
    honesty,
    invitations,
    labels,
    studies,
)
from workers.celery_app import celery_app
from workers.context import storage, task_transaction


@celery_app.task(name="upkeep.ask_again")  # type: ignore[untyped-decorator]
def ask_again() -> None:
    """Ask for what the rows say is still to be done, wherever a queue has run empty, and give the
    places of abandoned rounds back.

    While a queue holds jobs nothing is lost, and asking again would only fill it with doubles.
    """
    with task_transaction() as session:
        accounts.forget_expired(session)
        invitations.forget_expired(session)
        dealing.return_abandoned(session)
        honesty.forget_devices(session)
        export_jobs.clear_old(session, storage())
    with task_transaction() as session:
        if _is_empty("explanations"):
            for study in studies.unfinished(session):
                studies.ask(session, study)
            for class_id, simulated in global_explanations.pending_measurements(session):
                enqueue(
                    session, "explanations.measure_class", class_id=class_id, simulated=simulated
                )
            for contrast_id in contrasts.unfinished(session):
                enqueue(session, "explanations.contrast", contrast_id=str(contrast_id))
        if _is_empty("drafts"):
            drafts.ask_again(session)
        if _is_empty("labels"):
            for simulated in (False, True):
                for class_id in labels.classes_with_new_labels(session, simulated=simulated):
                    enqueue(session, "labels.group_class", class_id=class_id, simulated=simulated)
            if concept_search.has_new_words(session):
                enqueue(session, "labels.embed_words")
        if _is_empty("exports"):
            for export_id in export_jobs.unfinished(session):
                enqueue(session, "exports.write", export_id=str(export_id))


def _is_empty(queue: str) -> bool:
    with redis.Redis.from_url(get_settings().redis_url or "") as client:
        return bool(client.llen(queue) == 0)
