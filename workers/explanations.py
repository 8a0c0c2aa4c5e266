"""Explaining images, and measuring what was said of them."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from uuid import UUID

from sqlalchemy.exc import OperationalError

from app.concepts import load_embedder
from app.explain.networks import Network as LoadedNetwork
from app.infra.settings import get_settings
from app.models import Image, Study
from app.services import computing, contrasts, measuring, networks, studies
from app.services.signs import AtWork
from workers.celery_app import celery_app
from workers.context import only_one, signs, storage, task_transaction

_log = logging.getLogger(__name__)


@celery_app.task(  # type: ignore[untyped-decorator]
    name="explanations.explain_image",
    autoretry_for=(OperationalError,),
    retry_backoff=True,
    max_retries=8,
)
def explain_image(image_id: str) -> None:
    """Explain one image and store its maps. Done once, however often it is asked for."""
    key = UUID(image_id)
    with only_one(key) as mine:
        if not mine:
            return
        with task_transaction() as session:
            image = computing.pending_image(session, key)
        if image is None:
            return
        at = AtWork(image.file_name, 0, len(image.study.layers), datetime.now(UTC))
        signs().give(image.study_id, key, at)
        try:
            network = _network(image.study.network_id)
            result = computing.compute(storage(), image, network, on_layer=_tell(image, at))
        except Exception as error:
            # Whatever is wrong with this picture must not keep the study from being finished. The
            # researcher reads the reason and can ask again; the log has the whole story.
            _log.exception("image %s cannot be explained", image_id)
            with task_transaction() as session:
                computing.store_failure(session, image_id=key, reason=_reason(error))
        else:
            with task_transaction() as session:
                computing.store(session, storage(), image_id=key, result=result)
        signs().take_away(image.study_id, key)


def _tell(image: Image, at: AtWork) -> Callable[[str], None]:
    """What tells those who watch that one more layer of the picture is done."""
    n_done = count(1)

    def tell(_: str) -> None:
        now = replace(at, n_layers_done=next(n_done), at=datetime.now(UTC))
        signs().give(image.study_id, image.id, now)

    return tell


@celery_app.task(name="explanations.ask")  # type: ignore[untyped-decorator]
def ask(study_id: str) -> None:
    """Ask for every picture of a study that waits."""
    with task_transaction() as session:
        study = session.get(Study, UUID(study_id))
        if study is not None:
            studies.ask(session, study)


@celery_app.task(  # type: ignore[untyped-decorator]
    name="explanations.measure_class",
    autoretry_for=(OperationalError,),
    retry_backoff=True,
    max_retries=8,
)
def measure_class(class_id: int, simulated: bool) -> None:
    """Measure a class's concepts with its network. Done once, however often it is asked for."""
    with only_one(UUID(int=2 * class_id + simulated)) as mine:
        if not mine:
            return
        with task_transaction() as session:
            work = measuring.pending_class(session, class_id=class_id, simulated=simulated)
        if work is None:
            return
        try:
            embed = load_embedder(get_settings().sentence_model)
            found = measuring.measure(storage(), work, _network(work.study.network_id), embed)
        except Exception as error:
            # A class that cannot be measured still has its page, which then says why.
            _log.exception("class %s cannot be measured", class_id)
            with task_transaction() as session:
                measuring.store_failure(
                    session, class_id=class_id, simulated=simulated, reason=_reason(error)
                )
            return
        with task_transaction() as session:
            measuring.store(session, work=work, found=found, embed_name=embed.name)


@celery_app.task(  # type: ignore[untyped-decorator]
    name="explanations.contrast",
    autoretry_for=(OperationalError,),
    retry_backoff=True,
    max_retries=8,
)
def contrast(contrast_id: str) -> None:
    """Weigh a picture's maps against another class. Done once, however often it is asked for."""
    key = UUID(contrast_id)
    with only_one(key) as mine:
        if not mine:
            return
        with task_transaction() as session:
            work = contrasts.pending(session, key)
        if work is None:
            return
        study = work.contrast.image.study
        try:
            weights, difference = computing.compute_contrast(
                storage(), work, _network(study.network_id)
            )
        except Exception as error:
            # The researcher reads the reason and can ask again; the log has the whole story.
            _log.exception("contrast %s cannot be computed", contrast_id)
            with task_transaction() as session:
                contrasts.store_failure(session, key, reason=_reason(error))
            return
        with task_transaction() as session:
            contrasts.store(
                session,
                key,
                weights=weights,
                difference=difference,
                made_by=computing.made_by(study),
            )


def _reason(error: Exception) -> str:
    """The sentence of an error made for people; any other error with its kind."""
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


@lru_cache(maxsize=2)
def _network(network_id: int) -> LoadedNetwork:
    """Loading takes longer than explaining, so a process keeps the networks it uses."""
    with task_transaction() as session:
        row = networks.get(session, network_id)
    return networks.load_registered(row, storage())
