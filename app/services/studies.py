"""Studies: made from a network and pictures, watched while they compute."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, joinedload, selectinload

from app.explain.pictures import PictureError, open_picture
from app.infra.errors import ConflictError, InvalidInputError, NotFoundError
from app.infra.queue import enqueue
from app.infra.storage import Storage
from app.models import Account, Image, Layer, Network, Study, StudyClass
from app.services import access


def create(
    session: Session,
    *,
    name: str,
    network: Network,
    classes: Sequence[str],
    layers: Sequence[tuple[str, int]],
    clusterer: str = "fast",
    seed: int = 0,
    owner: Account | None = None,
    or_continue: bool = False,
) -> Study:
    """A new study without pictures. `layers`: dotted paths with their number of channels, from
    input to output. Without an owner it is the admins'. ConflictError when the name is taken.

    or_continue: a study of this name that is the same in everything is returned instead, so that an
    import that was interrupted can go on.
    """
    name = " ".join(name.split())
    slug = _slug(name)
    if not slug or len(name) > 120:
        raise InvalidInputError("A study needs a name of 1 to 120 letters or digits.")
    if len(classes) < 2:
        raise InvalidInputError("A game needs at least two classes to choose from.")
    taken = session.scalar(select(Study.slug).where((Study.name == name) | (Study.slug == slug)))
    if taken is not None:
        study = get(session, taken)
        is_same = (
            (study.name, study.network_id, study.clusterer, study.seed)
            == (name, network.id, clusterer, seed)
            and [c.name for c in study.classes] == list(classes)
            and [(layer.name, layer.n_channels) for layer in study.layers] == list(layers)
        )
        if or_continue and is_same:
            return study
        raise ConflictError(f"There is a study named “{name}” already. Choose another name.")
    study = Study(
        name=name,
        slug=slug,
        network=network,
        clusterer=clusterer,
        seed=seed,
        owner=owner,
        classes=[StudyClass(name=c, position=i) for i, c in enumerate(classes)],
        layers=[Layer(name=n, n_channels=c, position=i) for i, (n, c) in enumerate(layers)],
    )
    session.add(study)
    session.flush()
    return study


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def get(session: Session, slug: str) -> Study:
    """A study by the name in its address, with classes, layers and network."""
    study = session.scalar(
        select(Study)
        .where(Study.slug == slug)
        .options(selectinload(Study.classes), selectinload(Study.layers), joinedload(Study.network))
    )
    if study is None:
        raise NotFoundError("There is no such study.")
    return study


def find(session: Session, name_or_slug: str) -> Study:
    """A study by its name as typed on the command line, or by the name in its address."""
    slug = session.scalar(
        select(Study.slug).where((Study.name == name_or_slug) | (Study.slug == name_or_slug))
    )
    if slug is None:
        names = session.scalars(select(Study.name).order_by(Study.name)).all()
        known = "The studies are: " + ", ".join(names) + "." if names else "There is none yet."
        raise NotFoundError(f"There is no study named “{name_or_slug}”. {known}")
    return get(session, slug)


def list_all(session: Session) -> list[Study]:
    """Every study, newest first."""
    return list(
        session.scalars(
            select(Study).options(joinedload(Study.network)).order_by(Study.created_at.desc())
        )
    )


def list_visible(session: Session, account: Account) -> list[Study]:
    """The studies that an account may look at, newest first."""
    return list(
        session.scalars(
            select(Study)
            .where(Study.id.in_(access.visible_studies(account)))
            .options(joinedload(Study.network))
            .order_by(Study.created_at.desc())
        )
    )


def list_open(session: Session) -> list[Study]:
    """The studies whose game can be played, newest first."""
    return [study for study in list_all(session) if study.status == "open"]


def class_folders(photos: Path) -> list[Path]:
    """The sub-folders of a folder of photos, one per class, by name."""
    if not photos.is_dir():
        raise InvalidInputError(f"There is no folder {photos}.")
    folders = sorted(f for f in photos.iterdir() if f.is_dir() and not f.name.startswith("."))
    if len(folders) < 2:
        raise InvalidInputError(
            f"{photos} needs one sub-folder of photos for each class, at least two; "
            f"it has {len(folders)}."
        )
    return folders


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that did not go in, and why, in a sentence."""

    file_name: str
    reason: str


def add_files(
    session: Session,
    storage: Storage,
    *,
    study: Study,
    class_name: str,
    files: Iterable[Path],
    max_bytes: int,
) -> tuple[list[Image], list[Refusal]]:
    """Add pictures of one class and ask for their explanations. Bad files are named, with the
    reason; the rest go in. A picture that the study has already is passed over quietly when it is
    the same file again, so that an interrupted import can be repeated."""
    added: list[Image] = []
    refused: list[Refusal] = []
    for file in files:
        try:
            image = _add_file(session, storage, study, class_name, file, max_bytes)
        except (PictureError, InvalidInputError, OSError) as error:
            reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
            refused.append(Refusal(f"{class_name}/{file.name}", reason))
        else:
            if image is not None:
                added.append(image)
    session.flush()
    for image in added:
        enqueue(session, "explanations.explain_image", image_id=str(image.id))
    return added, refused


def _add_file(
    session: Session, storage: Storage, study: Study, class_name: str, file: Path, max_bytes: int
) -> Image | None:
    if file.is_dir():
        raise InvalidInputError("It is a folder; only the files of a class's folder are taken.")
    if file.stat().st_size > max_bytes:
        raise InvalidInputError(f"It is larger than {max_bytes // 1_000_000} MB.")
    content = file.read_bytes()
    open_picture(content)
    class_id = next(c.id for c in study.classes if c.name == class_name)
    sha256 = hashlib.sha256(content).hexdigest()
    twin = session.scalar(select(Image).where(Image.study_id == study.id, Image.sha256 == sha256))
    if twin is not None:
        if (twin.class_id, twin.file_name) == (class_id, file.name):
            return None
        raise InvalidInputError(f"It is the same picture as {twin.file_name}.")
    key = f"originals/{sha256[:2]}/{sha256}"
    storage.put(key, content)
    image = Image(
        study_id=study.id,
        class_id=class_id,
        file_name=file.name,
        sha256=sha256,
        original_key=key,
    )
    session.add(image)
    session.flush()
    return image


def open_when_ready(session: Session, study_id: UUID) -> None:
    """Open the game once every picture has been computed or has failed."""
    waiting = select(Image.id).where(Image.study_id == study_id, Image.status == "pending")
    done = select(Image.id).where(Image.study_id == study_id, Image.status == "done")
    session.execute(
        update(Study)
        .where(Study.id == study_id, Study.status == "computing")
        .where(~waiting.exists(), done.exists())
        .values(status="open")
    )


def resume(session: Session, study: Study, *, retry_failed: bool = False) -> int:
    """Ask again for every explanation that is not there yet; the number asked for.

    What has been asked for already and still waits is done once all the same.
    """
    if retry_failed:
        failed = update(Image).where(Image.study_id == study.id, Image.status == "failed")
        session.execute(failed.values(status="pending", failure=None))
    ids = session.scalars(
        select(Image.id)
        .where(Image.study_id == study.id, Image.status == "pending")
        .order_by(Image.created_at)
    ).all()
    for image_id in ids:
        enqueue(session, "explanations.explain_image", image_id=str(image_id))
    return len(ids)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study's computing has come."""

    n_images: int
    n_done: int
    n_failed: int
    images_per_s: float | None  # over the last pictures; None until two are done
    failures: list[Refusal]

    @property
    def n_waiting(self) -> int:
        return self.n_images - self.n_done - self.n_failed

    @property
    def is_finished(self) -> bool:
        return self.n_waiting == 0

    @property
    def seconds_left(self) -> float | None:
        if self.is_finished:
            return 0.0
        return self.n_waiting / self.images_per_s if self.images_per_s else None


_RATE_OVER = 20


def progress(session: Session, study: Study) -> Progress:
    counts = dict(
        session.execute(
            select(Image.status, func.count())
            .where(Image.study_id == study.id)
            .group_by(Image.status)
        ).all()
    )
    moments = session.scalars(
        select(Image.computed_at)
        .where(Image.study_id == study.id, Image.status == "done")
        .order_by(Image.computed_at.desc())
        .limit(_RATE_OVER)
    ).all()
    failures = session.execute(
        select(Image.file_name, Image.failure)
        .where(Image.study_id == study.id, Image.status == "failed")
        .order_by(Image.file_name)
    )
    return Progress(
        n_images=sum(counts.values()),
        n_done=counts.get("done", 0),
        n_failed=counts.get("failed", 0),
        images_per_s=_rate([m for m in moments if m is not None]),
        failures=[Refusal(name, reason or "") for name, reason in failures],
    )


def _rate(moments: Sequence[datetime]) -> float | None:
    if len(moments) < 2:
        return None
    elapsed = (moments[0] - moments[-1]).total_seconds()
    return (len(moments) - 1) / elapsed if elapsed > 0 else None


def images(session: Session, study: Study) -> list[Image]:
    """The study's pictures with their classes, class by class."""
    return list(
        session.scalars(
            select(Image)
            .join(Image.image_class)
            .where(Image.study_id == study.id)
            .options(joinedload(Image.image_class))
            .order_by(StudyClass.position, Image.file_name)
        )
    )
