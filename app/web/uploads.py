"""Files that come in: written to storage as they arrive, never held in memory, within limits."""

import asyncio
import errno
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final
from uuid import UUID

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from app.infra.errors import AppError, InvalidInputError
from app.infra.settings import Settings
from app.infra.storage import Storage
from app.models import StudyDraft
from app.services import drafts
from app.services.drafts import Received
from app.web.deps import out_of_turn

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_FIELD_BYTES: Final = 10_000
MAX_FIELDS: Final = 20
MAX_SILENCE_S: Final = 60.0
"""Seconds without a byte after which an upload is given up. Somebody on a slow line may take as
long as it takes; somebody who holds a line open and sends nothing may not."""


class UploadTooLargeError(AppError):
    status = 413


class UploadStoppedError(AppError):
    status = 408


class NoRoomError(AppError):
    status = 507


@dataclass
class Form:
    """What came in: plain fields, and files by the name of their field."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[Received]] = field(default_factory=dict)

    def remove(self, storage: Storage) -> None:
        """Remove the files that came in."""
        for received in (one for files in self.files.values() for one in files):
            storage.delete(received.storage_key)


KeyFor = Callable[[str, str], str]
"""From the name of a field and that of a file to the key to store it under. May refuse the file
with an AppError."""

Keep = Callable[[StudyDraft, Form], None]
"""Takes what came in into a draft. May refuse it with an AppError."""


async def receive_for_draft(
    request: Request,
    session: Session,
    storage: Storage,
    draft_id: UUID,
    *,
    key_for: KeyFor,
    keep: Keep,
    max_bytes: int,
    max_files: int,
) -> tuple[StudyDraft, Form]:
    """Receive the form of a request out of turn, and keep what came in in the draft, which is
    locked for that. NotFoundError when the draft was discarded meanwhile. Whatever goes wrong, no
    file stays that nothing refers to."""
    try:
        async with out_of_turn(request, session):
            form = await receive(
                request, storage, key_for=key_for, max_bytes=max_bytes, max_files=max_files
            )
    except FileNotFoundError:
        # With a draft goes its folder, the files that are just being written included.
        await run_in_threadpool(drafts.get, session, draft_id)
        raise
    return await run_in_threadpool(_keep, session, storage, draft_id, form, keep), form


async def receive_pictures(
    request: Request, session: Session, storage: Storage, settings: Settings, draft_id: UUID
) -> tuple[StudyDraft, int]:
    """Pictures and zips of them, in the field `files`, for a draft, and how many came in: of the
    class in the field `class_name`, or of those that their folders name."""

    def keep(draft: StudyDraft, form: Form) -> None:
        drafts.add_uploads(
            session,
            draft,
            class_name=form.fields.get("class_name"),
            received=form.files.get("files", []),
        )

    draft, form = await receive_for_draft(
        request,
        session,
        storage,
        draft_id,
        key_for=lambda _, __: drafts.upload_key(draft_id),
        keep=keep,
        max_bytes=settings.max_upload_mb * 1_000_000,
        max_files=settings.max_pictures,
    )
    return draft, len(form.files.get("files", []))


def _keep(session: Session, storage: Storage, draft_id: UUID, form: Form, keep: Keep) -> StudyDraft:
    try:
        draft = drafts.get(session, draft_id, lock=True)
        keep(draft, form)
    except BaseException:
        form.remove(storage)
        raise
    return draft


async def receive(
    request: Request, storage: Storage, *, key_for: KeyFor, max_bytes: int, max_files: int
) -> Form:
    """The form of a request, its files stored. All of them are in storage, or none: whatever goes
    wrong on the way, what has come in is removed again and the error raised.

    max_bytes: of the whole request. A refused file is still read to its end, as a browser shows no
    answer before it has sent everything.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise InvalidInputError("Files come by a form that sends them as such.")
    reader = _Reader(storage, key_for, max_files)
    parser = MultipartParser(options[b"boundary"], reader.callbacks())
    n_bytes = 0
    try:
        stream = request.stream()
        while True:
            try:
                async with asyncio.timeout(MAX_SILENCE_S):
                    chunk = await anext(stream, None)
            except TimeoutError as error:
                raise UploadStoppedError("The upload stopped on the way. Try again.") from error
            if chunk is None:
                break
            n_bytes += len(chunk)
            if n_bytes > max_bytes:
                raise _too_large(max_bytes)
            # In a thread: writing to a disk may block, and everybody else with it.
            await run_in_threadpool(parser.write, chunk)
        await run_in_threadpool(parser.finalize)
        if reader.refusal is not None:
            raise reader.refusal
        if not reader.is_whole:
            raise UploadStoppedError("The upload was cut short. Try again.")
    except BaseException as error:
        reader.give_up()
        if isinstance(error, FormParserError):
            raise InvalidInputError("What was sent could not be read. Try again.") from error
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise NoRoomError("The server has no room left for that. Tell its admin.") from error
        if isinstance(error, ClientDisconnect):
            raise UploadStoppedError("The upload was broken off.") from error
        raise
    return reader.form


def _too_large(max_bytes: int) -> UploadTooLargeError:
    return UploadTooLargeError(
        f"That is more than {max_bytes // 1_000_000:,} MB at once. Hand it in bit by bit."
    )


class _Reader:
    """Takes the parts of a form as the parser finds them, one after another."""

    def __init__(self, storage: Storage, key_for: KeyFor, max_files: int) -> None:
        self.form = Form()
        self.refusal: AppError | None = None
        self.is_whole = False
        self._storage = storage
        self._key_for = key_for
        self._max_files = max_files
        self._n_files = 0
        self._header = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._plain = bytearray()
        self._received: Received | None = None
        self._file: IO[bytes] | None = None
        self._open = ExitStack()

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def give_up(self) -> None:
        """Remove what has come in."""
        # As by an error in the block that writes: what is half written is not stored.
        self._open.__exit__(ClientDisconnect, ClientDisconnect(), None)
        self.form.remove(self._storage)

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._plain.clear()
        self._received = None
        if b"filename" not in options:
            return
        path = options[b"filename"].decode("utf-8", "replace")
        self._received = Received(path, "", 0)
        if not path:
            return  # a field for files that was left empty
        self._n_files += 1
        try:
            if self._n_files > self._max_files:
                raise UploadTooLargeError(f"At most {self._max_files:,} files at once.")
            key = self._key_for(self._name, path)
        except AppError as error:
            self.refusal = self.refusal or error
            return
        self._received = Received(path, key, 0)
        self._file = self._open.enter_context(self._storage.writing(key))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._received is None:
            self._plain += data[start:end]
            if len(self._plain) > MAX_FIELD_BYTES:
                raise UploadTooLargeError("A field holds more text than it can.")
        elif self._file is not None:
            self._file.write(data[start:end])

    def _on_part_end(self) -> None:
        if self._received is None:
            if len(self.form.fields) >= MAX_FIELDS:
                raise UploadTooLargeError("The form has more fields than it can.")
            self.form.fields[self._name] = self._plain.decode("utf-8", "replace")
        elif self._file is not None:
            n_bytes = self._file.tell()
            self._file = None
            self._open.close()
            path, key = self._received.path, self._received.storage_key
            self.form.files.setdefault(self._name, []).append(Received(path, key, n_bytes))

    def _on_end(self) -> None:
        self.is_whole = True
