"""Studies: made from a network and pictures, watched while they compute."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import bindparam, case, func, select, text, true, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload, selectinload

from app.explain.pictures import PictureError, open_picture
from app.infra.errors import ConflictError, InvalidInputError, NotFoundError
from app.infra.queue import enqueue
from app.infra.storage import Storage
from app.models import Account, Guest, Image, Layer, Network, Player, Study, StudyClass
from app.models.studies import RANDOM_TOKEN
from app.services import access, audit
from app.services.audit import Subject

VISIBILITIES = ("public", "unlisted", "private")


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
    opens_itself: bool = True,
    visibility: str = "public",
    n_wanted: int | None = 20,
) -> Study:
    """A new study without pictures. `layers`: dotted paths with their number of channels, from
    input to output. Without an owner it is the admins'. ConflictError when the name is taken.

    or_continue: a study of this name that is the same in everything is returned instead, so that an
    import that was interrupted can go on. opens_itself: whether the game opens when the last
    picture is computed. n_wanted: rounds wanted for each map, None for as many as people play.
    """
    name, slug = check_name(name)
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
        raise _taken(name)
    study = Study(
        name=name,
        slug=slug,
        network=network,
        clusterer=clusterer,
        seed=seed,
        owner=owner,
        opens_itself=opens_itself,
        visibility=visibility,
        n_wanted=n_wanted,
        classes=[StudyClass(name=c, position=i) for i, c in enumerate(classes)],
        layers=[Layer(name=n, n_channels=c, position=i) for i, (n, c) in enumerate(layers)],
    )
    session.add(study)
    session.flush()
    audit.record(session, "study.create", Subject.of_study(study), study=study)
    return study


def check_name(name: str) -> tuple[str, str]:
    """A study's name, white space made even, and how addresses write it."""
    name = " ".join(name.split())
    slug = _slug(name)
    if not slug or len(name) > 120 or "\x00" in name:
        raise InvalidInputError("A study needs a name of 1 to 120 letters or digits.")
    return name, slug


def check_new_name(session: Session, name: str) -> str:
    """The name, if no study has it yet; else ConflictError."""
    name, slug = check_name(name)
    if session.scalar(select(Study.id).where((Study.name == name) | (Study.slug == slug))):
        raise _taken(name)
    return name


def _taken(name: str) -> ConflictError:
    return ConflictError(f"There is a study named “{name}” already. Choose another name.")


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    # Cut last: a letter may unfold to several, as “ﬃ” does.
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:120].rstrip("-")


def get(session: Session, slug: str) -> Study:
    """A study by the name in its address, with classes, layers and network."""
    study = session.scalar(
        select(Study)
        # PostgreSQL takes no zero byte, which no name holds.
        .where(Study.slug == slug.replace("\x00", " "))
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


def page_visible(
    session: Session, account: Account, *, limit: int, after: tuple[datetime, UUID] | None = None
) -> list[Study]:
    """At most `limit` of the studies that an account may look at, newest first, each with its
    network. after: when the last one that was seen was made, and its id."""
    query = (
        select(Study)
        .where(Study.id.in_(access.visible_studies(account)))
        .options(joinedload(Study.network))
        .order_by(Study.created_at.desc(), Study.id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(Study.created_at, Study.id) < after)
    return list(session.scalars(query))


def get_class(session: Session, study: Study, class_id: int) -> StudyClass:
    """A class of the study. NotFoundError for one of another."""
    found = session.scalar(
        select(StudyClass).where(StudyClass.id == class_id, StudyClass.study_id == study.id)
    )
    if found is None:
        raise NotFoundError("There is no such class in this study.")
    return found


def list_open(session: Session, *, player: Player | None = None) -> list[Study]:
    """The studies whose game can be played, newest first: the public ones, and those that this
    player has come into by a link."""
    may_play = Study.visibility == "public"
    if player is not None:
        joined = select(Guest.study_id).where(Guest.player_id == player.id)
        may_play |= (Study.visibility == "unlisted") & Study.id.in_(joined)
    return list(
        session.scalars(
            select(Study)
            .where(Study.status == "open", may_play)
            .options(joinedload(Study.network))
            .order_by(Study.created_at.desc())
        )
    )


# --- the game: who may play, and when


def join(session: Session, *, token: str, player: Player) -> Study:
    """Let a player in by the link of an unlisted study. NotFoundError for a link that is not, or no
    longer, valid."""
    study = session.scalar(
        select(Study).where(Study.invite_token == token, Study.visibility != "private")
    )
    if study is None:
        raise NotFoundError("This link is not, or no longer, valid. Ask for a new one.")
    session.execute(
        insert(Guest)
        .values(study_id=study.id, player_id=player.id)
        .on_conflict_do_nothing(index_elements=["study_id", "player_id"])
    )
    return study


def enter(session: Session, slug: str, *, player: Player, account: Account | None = None) -> Study:
    """A study by the name in its address with its classes, for whoever may know of its game.
    NotFoundError for others. account: the player's, who may try the game of any study that they may
    look at."""
    study = session.scalar(_STUDY_OF_SLUG, {"slug": slug})
    if study is None:
        raise NotFoundError("There is no such study.")
    if study.visibility == "public":
        return study
    if study.visibility == "unlisted" and session.get(Guest, (study.id, player.id)) is not None:
        return study
    if account is not None:
        access.require(session, account, study_id=study.id, at_least=access.Level.VIEW)
        return study
    raise NotFoundError("There is no such study.")


# Whoever plays needs no more of it than the classes.
_STUDY_OF_SLUG = (
    select(Study).where(Study.slug == bindparam("slug")).options(selectinload(Study.classes))
)

NOT_OPEN = {
    "computing": "This game is not open yet: its pictures are still being computed.",
    "ready": "This game is not open yet. Please look in again later.",
    "paused": "This game takes a break. What you have done is kept; please come back later.",
    "closed": "This game is over. Thank you for playing!",
}


def check_open(study: Study) -> None:
    """ConflictError, with the reason, while no new rounds are dealt."""
    if study.status != "open":
        raise ConflictError(NOT_OPEN[study.status])


def set_status(session: Session, study: Study, *, status: str) -> None:
    """Open, pause or close the game. Rounds that players have at hand may be finished all the same.

    A game can be opened as soon as one picture is computed; the others join in as they come.
    """
    if status not in ("open", "paused", "closed"):
        raise InvalidInputError("A game can be opened, paused or closed.")
    session.refresh(study, ["status"], with_for_update=True)
    if status == "paused" and study.status != "open":
        raise ConflictError("Only an open game can be paused.")
    is_playable = select(Image.id).where(Image.study_id == study.id, Image.status == "done")
    if status == "open" and not session.scalar(select(is_playable.exists())):
        raise ConflictError("No picture is computed yet, so there is nothing to play.")
    audit.record(
        session,
        {"open": "study.open", "paused": "study.pause", "closed": "study.close"}[status],
        Subject.of_study(study),
        study=study,
        before={"status": study.status},
        after={"status": status},
    )
    study.status = status


def set_visibility(session: Session, study: Study, *, visibility: str) -> None:
    if visibility not in VISIBILITIES:
        raise InvalidInputError("Choose who may play: everybody, those with the link, or nobody.")
    audit.record(
        session,
        "study.visibility",
        Subject.of_study(study),
        study=study,
        before={"visibility": study.visibility},
        after={"visibility": visibility},
    )
    study.visibility = visibility


def renew_invitation(session: Session, study: Study) -> None:
    """A new link for an unlisted game. The old one lets nobody in any more; whoever came in by it
    stays."""
    session.execute(
        update(Study).where(Study.id == study.id).values(invite_token=text(RANDOM_TOKEN))
    )
    audit.record(session, "study.invitation", Subject.of_study(study), study=study)


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
    """Once every picture has been computed or has failed, open the game, or call it ready where
    somebody wants to look first. Called in the transaction that ends a picture."""
    # One after the other: two last pictures that end at once do not see each other's end, and the
    # game would never open. A statement of its own, so that the next sees what was waited for.
    session.execute(select(Study.id).where(Study.id == study_id).with_for_update(key_share=True))
    waiting = select(Image.id).where(Image.study_id == study_id, Image.status == "pending")
    done = select(Image.id).where(Image.study_id == study_id, Image.status == "done")
    session.execute(
        update(Study)
        .where(Study.id == study_id, Study.status == "computing")
        .where(~waiting.exists(), done.exists())
        .values(status=case((Study.opens_itself, "open"), else_="ready"))
    )


def stop(session: Session, study: Study) -> None:
    """Compute no further picture. Those that a worker has at hand are finished; nothing that is
    done is lost."""
    study.computing_since = None
    audit.record(session, "study.stop", Subject.of_study(study), study=study)


def resume(session: Session, study: Study, *, retry_failed: bool = False) -> int:
    """Compute what is not there yet, also after a stop; the number of pictures asked for.

    What has been asked for already and still waits is done once all the same.
    """
    _take_up_again(session, study, retry_failed=retry_failed)
    return ask(session, study)


def ask_to_resume(session: Session, study: Study, *, retry_failed: bool = False) -> None:
    """As `resume`, but a worker asks for the pictures: for thousands of them that takes seconds."""
    _take_up_again(session, study, retry_failed=retry_failed)
    enqueue(session, "explanations.ask", study_id=str(study.id))


def _take_up_again(session: Session, study: Study, *, retry_failed: bool) -> None:
    study.computing_since = datetime.now(UTC)
    audit.record(
        session,
        "study.resume",
        Subject.of_study(study),
        study=study,
        after={"failed pictures": "tried again" if retry_failed else "left as they are"},
    )
    if retry_failed:
        failed = update(Image).where(Image.study_id == study.id, Image.status == "failed")
        session.execute(failed.values(status="pending", failure=None))


def unfinished(session: Session) -> list[Study]:
    """Studies with pictures to compute, but for those that somebody has stopped."""
    waiting = select(Image.id).where(Image.study_id == Study.id, Image.status == "pending")
    return list(
        session.scalars(select(Study).where(Study.computing_since.is_not(None), waiting.exists()))
    )


def ask(session: Session, study: Study) -> int:
    """Ask for the explanation of every picture that waits; their number."""
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
    """How far a study's computing has come.

    images_per_s: over the last pictures until now, so that it falls when nothing comes; None until
    two are done. quiet_s: seconds since the last sign of a worker. slowest_s: seconds that the
    slowest of the last pictures took; None before the first.
    """

    n_images: int
    n_done: int
    n_failed: int
    is_stopped: bool
    images_per_s: float | None
    quiet_s: float
    slowest_s: float | None
    failures: list[Refusal]

    @property
    def n_waiting(self) -> int:
        return self.n_images - self.n_done - self.n_failed

    @property
    def is_finished(self) -> bool:
        return self.n_waiting == 0

    @property
    def is_running(self) -> bool:
        return not self.is_finished and not self.is_stopped

    @property
    def is_stalled(self) -> bool:
        """Whether a picture should have come long ago."""
        patience_s = max(_PATIENCE_S, _PATIENCE_FACTOR * (self.slowest_s or 0.0))
        return self.is_running and self.quiet_s > patience_s

    @property
    def seconds_left(self) -> float | None:
        """Foretold from the speed of late; None where nobody can honestly say."""
        if self.is_finished:
            return 0.0
        if self.is_stopped or self.is_stalled or not self.images_per_s:
            return None
        return self.n_waiting / self.images_per_s


_RATE_OVER = 20

_PATIENCE_S = 60.0
"""Seconds without any sign after which a page says so. Reading a large network takes half of it."""

_PATIENCE_FACTOR = 4.0
"""Or so many times what the slowest picture of late took, where that is more."""


def progress(session: Session, study: Study, *, last_sign: datetime | None = None) -> Progress:
    """last_sign: of a worker at one of the study's pictures, where something later than the last
    finished picture is known."""
    counts = dict(
        session.execute(
            select(Image.status, func.count())
            .where(Image.study_id == study.id)
            .group_by(Image.status)
        ).all()
    )
    since = study.computing_since
    recent = session.execute(
        select(Image.computed_at, Image.compute_s)
        .where(Image.study_id == study.id, Image.computed_at.is_not(None))
        # What came before a stop says nothing about the speed since.
        .where(Image.computed_at >= since if since is not None else true())
        .order_by(Image.computed_at.desc())
        .limit(_RATE_OVER)
    ).all()
    failures = session.execute(
        select(Image.file_name, Image.failure)
        .where(Image.study_id == study.id, Image.status == "failed")
        .order_by(Image.file_name)
    )
    moments = [row.computed_at for row in recent if row.computed_at is not None]
    is_finished = counts.get("pending", 0) == 0
    now = max([datetime.now(UTC), *moments[:1]])
    signs = [moment for moment in (since, last_sign, *moments[:1]) if moment is not None]
    return Progress(
        n_images=sum(counts.values()),
        n_done=counts.get("done", 0),
        n_failed=counts.get("failed", 0),
        is_stopped=since is None,
        images_per_s=_rate(moments, until=moments[0] if is_finished and moments else now),
        quiet_s=(now - max(signs)).total_seconds() if signs else 0.0,
        slowest_s=max((row.compute_s for row in recent if row.compute_s), default=None),
        failures=[Refusal(name, reason or "") for name, reason in failures],
    )


def _rate(moments: Sequence[datetime], *, until: datetime) -> float | None:
    """Pictures per second. moments: when pictures were done, latest first. The time since the last
    counts once it is longer than pictures usually take."""
    if len(moments) < 2:
        return None
    n_gaps = len(moments) - 1
    elapsed = (moments[0] - moments[-1]).total_seconds()
    if elapsed <= 0:
        return None
    quiet = (until - moments[0]).total_seconds()
    if quiet > elapsed / n_gaps:
        elapsed, n_gaps = elapsed + quiet, n_gaps + 1
    return n_gaps / elapsed


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


def page_images(
    session: Session,
    study: Study,
    *,
    limit: int,
    status: str | None = None,
    after: str | None = None,
) -> list[Image]:
    """At most `limit` of the study's pictures with their classes, by their SHA-256. status: only
    those pending, done or failed. after: the SHA-256 of the last one that was seen."""
    query = (
        select(Image)
        .where(Image.study_id == study.id)
        .options(joinedload(Image.image_class))
        .order_by(Image.sha256)
        .limit(limit)
    )
    if status is not None:
        query = query.where(Image.status == status)
    if after is not None:
        query = query.where(Image.sha256 > after)
    return list(session.scalars(query))


def get_image(session: Session, image_id: UUID) -> Image:
    """A picture with its class and study, computed or not."""
    image = session.scalar(
        select(Image)
        .where(Image.id == image_id)
        .options(joinedload(Image.image_class), joinedload(Image.study))
    )
    if image is None:
        raise NotFoundError("There is no such picture.")
    return image


def view_key(session: Session, image_id: UUID) -> str:
    """Where the part of a picture lies that the network saw."""
    key = session.scalar(select(Image.view_key).where(Image.id == image_id))
    if key is None:
        raise NotFoundError("There is no such picture, or it is not computed yet.")
    return key
