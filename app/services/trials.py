"""What a draft tries out on a worker: reading its network, explaining one of its pictures."""

import logging
import time
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from app.explain import NetworkError, explain_image, list_layers, open_picture
from app.explain.layers import LayerError
from app.explain.networks import Network as LoadedNetwork
from app.explain.render import heatmap_overlay
from app.infra.storage import Storage
from app.models import DraftFile, Network, StudyDraft
from app.picturebook.networks import BIASED_NETWORK, FAIR_NETWORK
from app.services import computing, drafts, networks
from app.services.drawing import VIEW_PX, to_jpeg

_log = logging.getLogger(__name__)
_OWN_FILES = {path.stem: path for path in (FAIR_NETWORK, BIASED_NETWORK)}


def read_network(session: Session, storage: Storage, *, draft_id: UUID) -> None:
    """Read the network that a draft has chosen, and list its layers with the usual ones ticked; or
    say in a sentence why it cannot be used."""
    draft = session.get(StudyDraft, draft_id)
    if draft is None or draft.network_source is None or _is_read(draft):
        return
    source = draft.network_source
    row, problem = None, None
    layers: list[dict[str, Any]] = []
    try:
        # In a savepoint: what fails in the database there leaves a transaction to say so in.
        with session.begin_nested():
            row, loaded = _load(session, storage, source)
        layers = [
            {
                "name": place.name,
                "n_channels": place.n_channels,
                "height": place.height,
                "width": place.width,
                "is_default": place.is_default,
            }
            for place in list_layers(loaded)
        ]
    except (NetworkError, LayerError) as error:
        problem = _without_folders(str(error), storage, source)
    except RuntimeError as error:
        # What torch says of a network that takes its picture otherwise than described.
        first_line = str(error).partition("\n")[0]
        problem = f"It cannot be run as it is described ({first_line})."
    except (OperationalError, IntegrityError):
        # The database is away, or another worker registers the same network: it passes.
        raise
    except Exception as error:
        # Without a word of it upkeep would ask for it again and again.
        _log.exception("draft %s: the network %s could not be read", draft_id, source)
        problem = f"Something unexpected went wrong with it ({type(error).__name__})."
    session.refresh(draft, with_for_update=True)
    if draft.network_source != source or _is_read(draft):
        return  # another one was chosen meanwhile
    if problem is not None:
        draft.network_problem = drafts.clean_reason(problem)
        return
    assert row is not None, "a network without a problem has been registered"
    draft.network_id = row.id
    draft.layers = layers
    draft.chosen_layers = [layer["name"] for layer in layers if layer["is_default"]]


def _is_read(draft: StudyDraft) -> bool:
    return draft.network_id is not None or draft.network_problem is not None


def _load(session: Session, storage: Storage, source: str) -> tuple[Network, LoadedNetwork]:
    kind, _, rest = source.partition(":")
    if kind == "registered":
        row = networks.get(session, int(rest))
        return row, networks.load_registered(row, storage)
    if kind == "layerplay":
        name = str(_OWN_FILES[rest])
    elif kind == "file":
        name = str(networks.stored(storage, rest))
    else:
        name = source
    return networks.register(session, storage, name=name, weights="default", classes=None)


def _without_folders(sentence: str, storage: Storage, source: str) -> str:
    """The sentence with files named as their owner knows them, not as the server does."""
    kind, _, key = source.partition(":")
    if kind != "file":
        return sentence
    return sentence.replace(f"{storage.path(key).parent}/", "")


def compute_preview(
    storage: Storage, *, draft: StudyDraft, file: DraftFile, network: LoadedNetwork
) -> dict[str, Any]:
    """Explain one picture of a draft and draw its maps. Takes seconds and holds no transaction.

    Returns what the page shows: id, another for every preview; seconds, said, probability (0 to
    1), and by layer, input first, its clusters, heaviest first, with their weight in percent of the
    layer.
    """
    started = time.perf_counter()
    assert file.storage_key is not None, "only pictures that were taken are previewed"
    content = storage.get(file.storage_key)
    picture = open_picture(content)
    explanation = explain_image(network, picture, layers=draft.chosen_layers)
    # Nothing to show here, but part of what every picture of the study will take.
    computing.find_known_regions(content, network, explanation)
    seconds = time.perf_counter() - started
    view = network.view(picture, VIEW_PX)
    preview_id = uuid4()
    storage.put(drafts.preview_key(draft.id, preview_id, "view"), to_jpeg(view))
    layers = []
    for number, layer in enumerate(explanation.layers):
        for rank, cluster in enumerate(layer.clusters):
            key = drafts.preview_key(draft.id, preview_id, f"{number}-{rank}")
            storage.put(key, to_jpeg(heatmap_overlay(view, cluster.map)))
        layers.append(
            {
                "name": layer.name,
                "clusters": [
                    {"weight": cluster.weight, "n_feature_maps": len(cluster.channels)}
                    for cluster in layer.clusters
                ],
            }
        )
    return {
        "id": str(preview_id),
        "seconds": seconds,
        "said": explanation.target_name or f"class {explanation.target}",
        "probability": float(explanation.probability),
        "layers": layers,
    }


def preview_subject(
    session: Session, *, draft_id: UUID, file_id: UUID
) -> tuple[StudyDraft, DraftFile] | None:
    """The draft and the picture that a preview was asked for; None when it is not any more."""
    row = session.execute(
        select(StudyDraft, DraftFile)
        .join(DraftFile, DraftFile.draft_id == StudyDraft.id)
        .where(
            StudyDraft.id == draft_id,
            StudyDraft.preview_file_id == file_id,
            StudyDraft.preview.is_(None),
            DraftFile.id == file_id,
        )
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def store_preview(
    session: Session, *, draft_id: UUID, file_id: UUID, found: dict[str, Any]
) -> None:
    """Keep what a preview found, or `{"problem": sentence}`, unless another is wanted by now."""
    draft = session.get(StudyDraft, draft_id, with_for_update=True)
    if draft is not None and draft.preview_file_id == file_id:
        draft.preview = found
