"""Looking at what was handed in for a draft: pictures go in, the rest is named with the reason."""

import hashlib
import logging
import time
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.explain.pictures import PictureError, open_picture
from app.infra.errors import InvalidInputError
from app.infra.storage import Storage
from app.models import DraftFile, Upload
from app.services import archives, drafts
from app.services.drawing import to_jpeg

_log = logging.getLogger(__name__)

_SHARE_S = 2.0
"""Seconds after which what has been looked at is stored: what a killed worker loses at most, and
how often a page that watches sees something new."""

_THUMBNAIL_PX = 160


@dataclass(frozen=True, slots=True)
class Limits:
    """max_picture_bytes: of one file. max_bytes: of a zip when unpacked. max_pictures: of a study,
    and so of a zip."""

    max_picture_bytes: int
    max_bytes: int
    max_pictures: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What was done in one go. used_keys: stored files that are needed no more once the transaction
    has committed. is_all: whether nothing waits any more."""

    used_keys: list[str]
    is_all: bool


def take_in_some(session: Session, storage: Storage, *, draft_id: UUID, limits: Limits) -> Taken:
    """Look at the next files that wait, for a few seconds."""
    used: list[str] = []
    until = time.monotonic() + _SHARE_S
    while time.monotonic() < until:
        upload = session.scalar(
            select(Upload)
            .where(Upload.draft_id == draft_id)
            .order_by(Upload.created_at, Upload.id)
            .limit(1)
        )
        if upload is None:
            return Taken(used, is_all=True)
        if _look_at(session, storage, upload, limits, until=until):
            used.append(upload.storage_key)
            session.delete(upload)
            session.flush()
    return Taken(used, is_all=False)


def _look_at(
    session: Session, storage: Storage, upload: Upload, limits: Limits, *, until: float
) -> bool:
    """Look at a file, or at a zip until a moment; whether that was all of it."""
    path = storage.path(upload.storage_key)
    with _or_refused(session, upload, upload.path):
        if not path.is_file():
            raise InvalidInputError("It got lost on the way. Add it again.")
        if archives.is_zip(path):
            return _look_into_zip(session, storage, upload, limits, until=until)
        if upload.n_bytes > limits.max_picture_bytes:
            raise InvalidInputError(
                f"It is larger than {limits.max_picture_bytes // 1_000_000} MB."
            )
        _add(session, storage, upload, upload.path, path.read_bytes(), limits)
    return True


@contextmanager
def _or_refused(session: Session, upload: Upload, path: str) -> Iterator[None]:
    """Refuses a file by what goes wrong in the block, whatever that is: a file that stayed first in
    line would keep all others from being looked at, for ever."""
    try:
        yield
    except (PictureError, InvalidInputError) as error:
        _refuse(session, upload, path, str(error))
    except (SQLAlchemyError, OSError):
        raise  # no fault of the file: the database or the storage, and the task is done again
    except Exception as error:
        plain = drafts.clean_path(path)
        _log.exception("draft %s: %s could not be looked at", upload.draft_id, plain)
        reason = f"Something unexpected went wrong with it ({type(error).__name__})."
        _refuse(session, upload, path, reason)


def _look_into_zip(
    session: Session, storage: Storage, upload: Upload, limits: Limits, *, until: float
) -> bool:
    """Look at the zip's next files until a moment; whether that was the rest of them."""
    archive = archives.open_zip(
        storage.path(upload.storage_key),
        max_entries=limits.max_pictures,
        max_bytes=limits.max_bytes,
    )
    with closing(archive):
        entries = list(archives.list_entries(archive))
        upload.n_entries = len(entries)
        if not entries:
            raise InvalidInputError("There is no file in it.")
        for entry in islice(entries, upload.n_looked_at, None):
            with _or_refused(session, upload, entry.path):
                content = archives.read_entry(archive, entry, max_bytes=limits.max_picture_bytes)
                _add(session, storage, upload, entry.path, content, limits)
            upload.n_looked_at += 1
            if time.monotonic() > until:
                break
    return upload.n_looked_at >= len(entries)


def _add(
    session: Session, storage: Storage, upload: Upload, path: str, content: bytes, limits: Limits
) -> None:
    """Put a picture in. The same picture again, under the same name, is passed over quietly:
    whoever was interrupted may hand all of it in again. PictureError or InvalidInputError when it
    cannot go in."""
    plain = PurePosixPath(path.replace("\\", "/"))
    if plain.suffix.lower() == ".zip":
        raise InvalidInputError("It is a zip inside a zip, or a damaged one. Unpack it first.")
    picture = open_picture(content)
    class_name = upload.class_name or _class_of(plain)
    file_name = unicodedata.normalize("NFC", plain.name)[-300:]
    sha256 = hashlib.sha256(content).hexdigest()
    twin = session.scalar(
        select(DraftFile).where(
            DraftFile.draft_id == upload.draft_id,
            DraftFile.sha256 == sha256,
            DraftFile.refusal.is_(None),
        )
    )
    if twin is not None:
        if (twin.class_name, twin.file_name) == (class_name, file_name):
            return
        raise InvalidInputError(f"It is the same picture as {twin.path}.")
    n_taken = session.scalar(
        select(func.count()).where(
            DraftFile.draft_id == upload.draft_id, DraftFile.refusal.is_(None)
        )
    )
    if (n_taken or 0) >= limits.max_pictures:
        raise InvalidInputError(
            f"The study has {limits.max_pictures:,} pictures already, as many as it can hold."
        )
    file = DraftFile(
        id=uuid4(),
        draft_id=upload.draft_id,
        path=drafts.clean_path(path),
        class_name=class_name,
        file_name=drafts.clean_path(file_name)[-300:],
        sha256=sha256,
        storage_key=f"{drafts.originals_folder(upload.draft_id)}/{sha256}",
    )
    assert file.storage_key is not None
    storage.put(file.storage_key, content)
    picture.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    storage.put(drafts.thumbnail_key(upload.draft_id, file.id), to_jpeg(picture))
    session.add(file)
    session.flush()


def _class_of(path: PurePosixPath) -> str:
    folder = path.parent.name
    if not folder:
        raise InvalidInputError(
            "It lies in no folder, so its class is unknown. Choose a class and add it again."
        )
    return drafts.clean_class_name(folder)


def _refuse(session: Session, upload: Upload, path: str, reason: str) -> None:
    session.add(
        DraftFile(
            draft_id=upload.draft_id,
            path=drafts.clean_path(path),
            file_name=drafts.clean_path(PurePosixPath(path).name)[-300:],
            refusal=drafts.clean_reason(reason),
        )
    )
    session.flush()


def is_waiting(session: Session, draft_id: UUID) -> bool:
    """Whether a draft has files that nobody has looked at yet."""
    waiting = select(Upload.id).where(Upload.draft_id == draft_id)
    return bool(session.scalar(select(waiting.exists())))
