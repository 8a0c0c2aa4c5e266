"""Turning labels into concepts."""

from functools import partial

from sqlalchemy.exc import OperationalError

from app.concepts import load_embedder
from app.infra.queue import enqueue
from app.infra.settings import get_settings
from app.services import concept_search, labels, settling, studies
from workers.celery_app import celery_app
from workers.context import task_transaction


@celery_app.task(  # type: ignore[untyped-decorator]
    name="labels.group_class",
    autoretry_for=(OperationalError,),
    retry_backoff=True,
    max_retries=8,
)
def group_class(class_id: int, simulated: bool = False) -> None:
    """Make the concepts of one image class anew from the labels of people, or of simulated ones,
    and see which maps have had enough rounds by now."""
    settings = get_settings()
    embed = load_embedder(settings.sentence_model)
    note = partial(labels.note_new_labels, class_id=class_id, simulated=simulated)
    with task_transaction() as session:
        note(session, are_there=False)
    try:
        with task_transaction() as session:
            labels.group_class(
                session,
                class_id=class_id,
                embed=embed,
                recipe=settings.concept_recipe,
                simulated=simulated,
            )
            enqueue(session, "labels.embed_words")
        if not simulated:
            with task_transaction() as session:
                settling.settle_class(session, class_id=class_id)
    except BaseException:
        with task_transaction() as session:
            note(session, are_there=True)
        raise


@celery_app.task(  # type: ignore[untyped-decorator]
    name="labels.embed_words",
    autoretry_for=(OperationalError,),
    retry_backoff=True,
    max_retries=8,
)
def embed_words() -> None:
    """Embed the names of new concepts, so that they are found by meaning."""
    embed = load_embedder(get_settings().sentence_model)
    with task_transaction() as session:
        concept_search.embed_new_words(session, embed)


@celery_app.task(name="labels.group_all")  # type: ignore[untyped-decorator]
def group_all() -> None:
    """Ask for the concepts of every class of every study. Once a night: what players do elsewhere
    in a study tells how far their labels are to be trusted, and asks for no job by itself."""
    with task_transaction() as session:
        for study in studies.list_all(session):
            labels.ask_all(session, studies.get(session, study.slug))
