"""Studies in the making: chosen and filled step by step in the browser, then made for good."""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session, joinedload

from app.infra.errors import ConflictError, InvalidInputError, NotFoundError
from app.infra.queue import enqueue
from app.infra.storage import Storage
from app.models import Account, DraftFile, Image, Network, Study, StudyDraft, Upload
from app.services import studies
from app.services.studies import Refusal

PUBLISHED_NETWORKS: Final = (
    "vgg16",
    "resnet18",
    "resnet50",
    "densenet121",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "convnext_tiny",
    "squeezenet1_1",
    "alexnet",
)
"""Classifiers of torchvision to begin with, the paper's first. Any other may be named as well."""

OWN_NETWORKS: Final = {
    "picturebook": "The picture book’s network, which looks at the figure",
    "picturebook-biased": "The picture book’s network that has a bias to be found",
}
"""Networks that come with Layerplay, by the name of their description."""

MAX_CHOICES: Final = 40
"""Answers to choose from. More buttons than that nobody reads."""

MAX_WANTED: Final = 10_000
MAX_DESCRIPTION_BYTES: Final = 1_000_000
MAX_REASON: Final = 1000
N_THUMBNAILS: Final = 8
_PUBLISHED_NAME: Final = re.compile(r"[a-z0-9_]{1,60}|timm:[A-Za-z0-9_.-]{1,80}")


def create(session: Session, *, name: str, owner: Account | None = None) -> StudyDraft:
    """A draft with nothing in it but its name. Without an owner it is the admins'.

    ConflictError when a study has the name.
    """
    draft = StudyDraft(name=studies.check_new_name(session, name), owner=owner)
    session.add(draft)
    session.flush()
    return draft


def get(session: Session, draft_id: UUID, *, lock: bool = False) -> StudyDraft:
    """A draft with its network. NotFoundError when there is none, or none any more."""
    query = (
        select(StudyDraft)
        .where(StudyDraft.id == draft_id)
        .options(joinedload(StudyDraft.network), joinedload(StudyDraft.owner))
    )
    if lock:
        query = query.with_for_update(of=StudyDraft).execution_options(populate_existing=True)
    draft = session.scalar(query)
    if draft is None:
        raise NotFoundError("This draft is gone: it was discarded, or has become a study.")
    return draft


def list_visible(session: Session, account: Account) -> list[StudyDraft]:
    """The account's drafts, the one changed last first; an admin's are all."""
    query = select(StudyDraft).order_by(StudyDraft.changed_at.desc())
    if account.role != "admin":
        query = query.where(StudyDraft.owner_id == account.id)
    return list(session.scalars(query))


def rename(session: Session, draft: StudyDraft, *, name: str) -> None:
    draft.name = studies.check_new_name(session, name)


def discard(session: Session, draft: StudyDraft) -> None:
    """Remove a draft; its files go once that is done."""
    session.delete(draft)
    session.flush()
    enqueue(session, "drafts.clear_files", draft_id=str(draft.id))


# --- the network


def choose_network(session: Session, draft: StudyDraft, *, source: str) -> None:
    """Choose a network by name, and have a worker read it and list its layers.

    source: a published network's name, `layerplay:NAME`, or `registered:ID`. Files on this machine
    cannot be named that way.
    """
    kind, _, rest = source.strip().partition(":")
    if kind == "layerplay":
        known = rest in OWN_NETWORKS
    elif kind == "registered":
        known = (
            rest.isascii()
            and rest.isdecimal()
            and len(rest) < 19
            and session.get(Network, int(rest)) is not None
        )
    else:
        known = _PUBLISHED_NAME.fullmatch(source.strip()) is not None
    if not known:
        raise InvalidInputError(
            "That is not a network’s name. Choose one from the list, or type one of torchvision’s, "
            "such as resnet18."
        )
    _set_network(session, draft, source.strip())


def known_networks(session: Session) -> list[Network]:
    """The networks that were used here before, newest first."""
    return list(session.scalars(select(Network).order_by(Network.created_at.desc(), Network.id)))


def page_networks(session: Session, *, limit: int, below: int | None = None) -> list[Network]:
    """At most `limit` of the networks that were used here before, newest first. below: the id of
    the last one that was seen."""
    query = select(Network).order_by(Network.id.desc()).limit(limit)
    return list(session.scalars(query if below is None else query.where(Network.id < below)))


def keep_network_files(
    session: Session, storage: Storage, draft: StudyDraft, *, description_key: str, weights_key: str
) -> None:
    """Take an uploaded description (JSON) and the weights beside it (safetensors) as the network.

    The description's own word for the weights file is not followed: it could name any file.
    """
    content = storage.get(description_key)
    name = PurePosixPath(description_key).name
    try:
        description = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        # ValueError: no UTF-8, no JSON, or a number with more digits than Python reads.
        raise InvalidInputError(f"{name} is not valid JSON ({error}).") from error
    if not isinstance(description, dict):
        raise InvalidInputError(f"{name} is not a network description: it holds no JSON object.")
    description["weights"] = PurePosixPath(weights_key).name
    storage.put(description_key, json.dumps(description).encode())
    _set_network(session, draft, f"file:{description_key}")


def network_file_key(draft_id: UUID, upload: str, *, file_name: str, is_weights: bool) -> str:
    """Where an uploaded file of a network goes. InvalidInputError for a kind that is not taken."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", file_name.replace("\\", "/").split("/")[-1])[-80:]
    wanted = ".safetensors" if is_weights else ".json"
    if not name.lower().endswith(wanted):
        reason = (
            "Weights are taken as safetensors only, because other formats may hold programs. "
            "safetensors.torch.save_file() makes such a file."
            if is_weights
            else "The description is a JSON file."
        )
        raise InvalidInputError(f"“{file_name[:100]}” does not end in {wanted}. {reason}")
    return f"{_folder(draft_id)}/network-{upload}/{name.lstrip('.-')}"


def _set_network(session: Session, draft: StudyDraft, source: str) -> None:
    draft.network_source = source
    draft.network = draft.network_problem = None
    draft.layers, draft.chosen_layers = [], []
    _forget_preview(draft)
    session.flush()
    enqueue(session, "drafts.read_network", draft_id=str(draft.id))


def choose_layers(draft: StudyDraft, *, names: Sequence[str]) -> None:
    """Choose layers by their names; they are kept in order from input to output."""
    known = [layer["name"] for layer in draft.layers]
    unknown = set(names) - set(known)
    if unknown:
        raise InvalidInputError(f"The network has no layer {min(unknown)}.")
    if not names:
        raise InvalidInputError("Tick at least one layer: players see what its maps show.")
    chosen = [name for name in known if name in set(names)]
    if chosen != draft.chosen_layers:
        draft.chosen_layers = chosen
        _forget_preview(draft)


# --- the pictures


@dataclass(frozen=True, slots=True)
class Received:
    """A file that came in whole: its path as the browser named it, and where it lies."""

    path: str
    storage_key: str
    n_bytes: int


def upload_key(draft_id: UUID) -> str:
    """Where a picture or zip that is coming in goes."""
    return f"{_folder(draft_id)}/uploads/{uuid4().hex}"


def add_uploads(
    session: Session, draft: StudyDraft, *, class_name: str | None, received: Sequence[Received]
) -> None:
    """Keep what came in, and have a worker look at it.

    class_name: of all of it; None where each picture's folder is its class.
    """
    if not received:
        raise InvalidInputError("Choose some pictures or a zip first.")
    name = clean_class_name(class_name) if class_name and class_name.strip() else None
    session.execute(
        insert(Upload),
        [
            {
                "draft_id": draft.id,
                "path": clean_path(one.path),
                "class_name": name,
                "storage_key": one.storage_key,
                "n_bytes": one.n_bytes,
            }
            for one in received
        ],
    )
    session.execute(
        update(StudyDraft).where(StudyDraft.id == draft.id).values(changed_at=func.now())
    )
    enqueue(session, "drafts.take_in", draft_id=str(draft.id))


def clean_class_name(name: str) -> str:
    """A class's name as it is kept: NFC, white space made even. InvalidInputError for none."""
    plain = " ".join(_printable(unicodedata.normalize("NFC", name)).split())
    if not plain or len(plain) > 200:
        raise InvalidInputError("A class needs a name of 1 to 200 letters.")
    return plain


def clean_path(path: str) -> str:
    """A path as people may read it: no control characters, and not endless, for which the middle
    is left out."""
    plain = _printable(path) or "(no name)"
    return plain if len(plain) <= 400 else f"{plain[:250]}…{plain[-149:]}"


def clean_reason(reason: str) -> str:
    """Why a file is not used, as it is kept. What a decoder says of a file may quote it, and then
    holds whatever the file does."""
    plain = _printable(reason)
    return plain if len(plain) <= MAX_REASON else f"{plain[:MAX_REASON]}…"


def _printable(text: str) -> str:
    """Without control characters and halves of pairs, which the database does not hold either."""
    return "".join(c for c in text if c.isprintable())


def remove_class(session: Session, draft: StudyDraft, *, class_name: str) -> None:
    """Take all pictures of a class out again. NotFoundError for a name that no class can have."""
    if not class_name.isprintable():  # the database could not even look for a zero character
        raise NotFoundError("There is no such class in this draft.")
    session.execute(
        delete(DraftFile).where(
            DraftFile.draft_id == draft.id,
            DraftFile.class_name == class_name,
            DraftFile.refusal.is_(None),
        )
    )
    _forget_preview(draft)


def forget_refusals(session: Session, draft: StudyDraft) -> None:
    """Clear the list of refused files, once somebody has read it."""
    session.execute(
        delete(DraftFile).where(DraftFile.draft_id == draft.id, DraftFile.refusal.is_not(None))
    )


@dataclass(frozen=True, slots=True)
class DraftClass:
    """A class of a draft with its number of pictures, and some of them."""

    name: str
    n_pictures: int
    some: list[UUID]


@dataclass(frozen=True, slots=True)
class Contents:
    """What was handed in so far. n_waiting: files that nobody has looked at yet, those in zips
    included as far as they are known."""

    classes: list[DraftClass]
    refusals: list[Refusal]
    n_waiting: int

    @property
    def n_pictures(self) -> int:
        return sum(found.n_pictures for found in self.classes)


def contents(session: Session, draft: StudyDraft) -> Contents:
    # First: what is taken in between two statements is then seen by the later ones, or still waits.
    # The other way round, nothing would wait and nothing be there, and a page ask no more.
    n_waiting = session.scalar(
        select(
            func.coalesce(func.sum(func.coalesce(Upload.n_entries, 1) - Upload.n_looked_at), 0)
        ).where(Upload.draft_id == draft.id)
    )
    number = func.row_number().over(
        partition_by=DraftFile.class_name, order_by=(DraftFile.created_at, DraftFile.id)
    )
    total = func.count().over(partition_by=DraftFile.class_name)
    numbered = (
        select(DraftFile.class_name, DraftFile.id, number.label("number"), total.label("total"))
        .where(DraftFile.draft_id == draft.id, DraftFile.refusal.is_(None))
        .subquery()
    )
    classes: dict[str, DraftClass] = {}
    for row in session.execute(
        select(numbered)
        .where(numbered.c.number <= N_THUMBNAILS)
        .order_by(numbered.c.class_name, numbered.c.number)
    ):
        found = classes.setdefault(row.class_name, DraftClass(row.class_name, row.total, []))
        found.some.append(row.id)
    refusals = session.execute(
        select(DraftFile.path, DraftFile.refusal)
        .where(DraftFile.draft_id == draft.id, DraftFile.refusal.is_not(None))
        .order_by(DraftFile.created_at, DraftFile.path)
    )
    return Contents(
        classes=list(classes.values()),
        refusals=[Refusal(path, reason or "") for path, reason in refusals],
        n_waiting=max(0, int(n_waiting or 0)),
    )


def thumbnail_key(draft_id: UUID, file_id: UUID) -> str:
    """Where a small copy of a draft's picture lies."""
    return f"{_folder(draft_id)}/thumbnails/{file_id}.jpg"


def preview_key(draft_id: UUID, preview_id: UUID, name: str) -> str:
    """Where a picture of a preview lies: `view`, or `LAYER-RANK`."""
    return f"{_folder(draft_id)}/preview-{preview_id}/{name}.jpg"


def _folder(draft_id: UUID) -> str:
    return f"drafts/{draft_id}"


def originals_folder(draft_id: UUID) -> str:
    """Where a draft's pictures lie, byte by byte as they came in. They stay there when it becomes a
    study; the rest of a draft's files goes."""
    return f"pictures/{draft_id}"


# --- the game


def set_game(
    session: Session,
    draft: StudyDraft,
    *,
    further_choices: Sequence[str],
    n_wanted: int | None,
    visibility: str,
    opens_itself: bool,
) -> None:
    """Set what players choose from and who may play. n_wanted: rounds for each map, None for as
    many as people play."""
    classes = [found.name for found in contents(session, draft).classes]
    wanted = [clean_class_name(choice) for choice in further_choices if choice.strip()]
    further = [name for name in dict.fromkeys(wanted) if name not in classes]
    if len(classes) + len(further) > MAX_CHOICES:
        raise InvalidInputError(
            f"{len(classes) + len(further)} answers are more than anybody reads; at most "
            f"{MAX_CHOICES}, the classes of the pictures included."
        )
    if n_wanted is not None and not 1 <= n_wanted <= MAX_WANTED:
        raise InvalidInputError(f"Rounds for each map: 1 to {MAX_WANTED:,}, or nothing.")
    if visibility not in studies.VISIBILITIES:
        raise InvalidInputError("Choose who may play: everybody, those with the link, or nobody.")
    draft.further_choices = further
    draft.n_wanted = n_wanted
    draft.visibility = visibility
    draft.opens_itself = opens_itself


# --- the preview


def ask_preview(session: Session, draft: StudyDraft, *, file_id: UUID | None) -> None:
    """Have one picture explained, before anything is made for good. file_id: None takes any."""
    query = select(DraftFile.id).where(DraftFile.draft_id == draft.id, DraftFile.refusal.is_(None))
    if file_id is not None:
        query = query.where(DraftFile.id == file_id)
    found = session.scalar(query.order_by(DraftFile.class_name, DraftFile.created_at).limit(1))
    if found is None:
        raise NotFoundError("There is no such picture in this draft.")
    if draft.network is None or not draft.chosen_layers:
        raise ConflictError("Choose the network and its layers first.")
    draft.preview_file_id, draft.preview = found, None
    session.flush()
    enqueue(session, "drafts.preview", draft_id=str(draft.id), file_id=str(found))


def _forget_preview(draft: StudyDraft) -> None:
    draft.preview_file_id = draft.preview = None


# --- done


def missing(draft: StudyDraft, found: Contents) -> list[tuple[str, str]]:
    """What a draft lacks to become a study: each the step where it is given, and a sentence."""
    lacks = []
    if draft.network is None:
        lacks.append(("network", "Choose a network that can be read."))
    elif not draft.chosen_layers:
        lacks.append(("layers", "Tick at least one layer."))
    if found.n_waiting:
        lacks.append(("pictures", "Wait until every file has been looked at."))
    elif not found.n_pictures:
        lacks.append(("pictures", "Add pictures."))
    if len(found.classes) + len(draft.further_choices) < 2:
        lacks.append(("game", "A game needs at least two answers to choose from."))
    return lacks


def finish(session: Session, draft_id: UUID) -> Study:
    """Make the study for good and have its pictures explained. Done once: a second click finds no
    draft any more. ConflictError while something is missing, or when the name is taken meanwhile.
    """
    draft = get(session, draft_id, lock=True)
    found = contents(session, draft)
    lacks = missing(draft, found)
    if lacks:
        raise ConflictError(" ".join(sentence for _, sentence in lacks))
    assert draft.network is not None, "missing() has just said that there is one"
    n_channels = {layer["name"]: layer["n_channels"] for layer in draft.layers}
    study = studies.create(
        session,
        name=draft.name,
        network=draft.network,
        classes=[one.name for one in found.classes] + draft.further_choices,
        layers=[(name, n_channels[name]) for name in draft.chosen_layers],
        owner=draft.owner,
        opens_itself=draft.opens_itself,
        visibility=draft.visibility,
        n_wanted=draft.n_wanted,
    )
    class_ids = {image_class.name: image_class.id for image_class in study.classes}
    pictures = session.scalars(
        select(DraftFile)
        .where(DraftFile.draft_id == draft.id, DraftFile.refusal.is_(None))
        .order_by(DraftFile.class_name, DraftFile.path)
    )
    now = datetime.now(UTC)
    session.execute(
        insert(Image),
        [
            {
                "study_id": study.id,
                "class_id": class_ids[picture.class_name or ""],
                "file_name": picture.file_name,
                "sha256": picture.sha256,
                "original_key": picture.storage_key,
                "created_at": now,
            }
            for picture in pictures
        ],
    )
    session.delete(draft)
    session.flush()
    enqueue(session, "explanations.ask", study_id=str(study.id))
    enqueue(session, "drafts.clear_files", draft_id=str(draft_id))
    return study


def clear_files(session: Session, storage: Storage, *, draft_id: UUID) -> None:
    """Remove the files of a draft that is gone, but for the pictures that a study uses."""
    if session.get(StudyDraft, draft_id) is not None:
        return
    folder = originals_folder(draft_id)
    used = set(
        session.scalars(select(Image.original_key).where(Image.original_key.like(f"{folder}/%")))
    )
    for key in storage.keys(folder):
        if key not in used:
            storage.delete(key)
    storage.delete_folder(_folder(draft_id))


def ask_again(session: Session) -> None:
    """Ask for whatever drafts wait for, for the upkeep task."""
    for draft_id in session.scalars(select(Upload.draft_id).distinct()):
        enqueue(session, "drafts.take_in", draft_id=str(draft_id))
    unread = select(StudyDraft.id).where(
        StudyDraft.network_source.is_not(None),
        StudyDraft.network_id.is_(None),
        StudyDraft.network_problem.is_(None),
    )
    for draft_id in session.scalars(unread):
        enqueue(session, "drafts.read_network", draft_id=str(draft_id))
    unseen = select(StudyDraft.id, StudyDraft.preview_file_id).where(
        StudyDraft.preview_file_id.is_not(None), StudyDraft.preview.is_(None)
    )
    for draft_id, file_id in session.execute(unseen):
        enqueue(session, "drafts.preview", draft_id=str(draft_id), file_id=str(file_id))
