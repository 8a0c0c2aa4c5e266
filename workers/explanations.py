"""Explaining images, and measuring what was said of them."""

import logging
from functools import lru_cache
from uuid import UUID

from sqlalchemy.exc import OperationalError

from app.concepts import load_embedder
from app.explain.networks import Network as LoadedNetwork
from app.infra.settings import get_settings
from app.services import computing, measuring, networks
from workers.celery_app import celery_app
from workers.context import only_one, storage, task_transaction

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
        try:
            network = _network(image.study.network_id)
            result = computing.compute(storage(), image, network)
        except Exception as error:
            # Whatever is wrong with this picture must not keep the study from being finished. The
            # researcher reads the reason and can ask again; the log has the whole story.
            _log.exception("image %s cannot be explained", image_id)
            with task_transaction() as session:
                computing.store_failure(session, image_id=key, reason=_reason(error))
            return
        with task_transaction() as session:
            computing.store(session, storage(), image_id=key, result=result)


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


def _reason(error: Exception) -> str:
    """The sentence of an error made for people; any other error with its kind."""
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


@lru_cache(maxsize=2)
def _network(network_id: int) -> LoadedNetwork:
    """Loading takes longer than explaining, so a process keeps the networks it uses."""
    with task_transaction() as session:
        row = networks.get(session, network_id)
    return networks.load_registered(row, storage())
