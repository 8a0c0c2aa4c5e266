"""Snapshots: a study's data as it was, numbered, with checksums, and with what made it."""

import json
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import IO, Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.formats.packing import FileEntry, FileToWrite, copy, digest, write_zip
from app.infra.db import reading
from app.infra.errors import NotFoundError
from app.infra.queue import enqueue
from app.infra.storage import Storage
from app.models import Image, LocalExplanation, Network, Snapshot, Study
from app.services import audit, export_files, studies
from app.services.audit import Subject
from app.services.exports import ExportSpec

MANIFEST_FILE = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Prepared:
    """A snapshot's archive, in storage, that has no number yet."""

    study_slug: str
    made_by: dict[str, Any]
    files: list[FileEntry]
    file_key: str
    size_bytes: int
    sha256: str


def prepare(
    factory: sessionmaker[Session],
    storage: Storage,
    *,
    study_slug: str,
    secret: bytes,
    licence: str,
) -> Prepared:
    """Write the archive of a study as it is at this moment: a Hugging Face datasets folder of what
    people gave outside practice, and a manifest of checksums and origins. The same data makes the
    same bytes, so it lies in storage under its own checksum."""
    spec = ExportSpec(file_format="huggingface", content="both", licence=licence)
    with tempfile.TemporaryFile() as file:
        with reading(factory) as session:
            study = studies.get(session, study_slug)
            made_by = _made_by(session, study, spec)
            files = export_files.files(session, storage, study=study, secret=secret, spec=spec)
            entries = write_zip(file, [*files, _manifest(study, made_by)])
        file.seek(0)
        size_bytes, sha256 = digest(file)
        key = f"snapshots/{sha256}.zip"
        file.seek(0)
        storage.put_with(key, lambda out: copy(file, out))
    return Prepared(study_slug, made_by, entries, key, size_bytes, sha256)


def _manifest(study: Study, made_by: dict[str, Any]) -> FileToWrite:
    def write(file: IO[bytes], before: Any) -> None:
        content = {
            "format": FORMAT,
            "study": study.name,
            "made_by": made_by,
            "files": [asdict(entry) for entry in before],
        }
        text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True)
        file.write(text.encode() + b"\n")

    return FileToWrite(MANIFEST_FILE, write)


def _made_by(session: Session, study: Study, spec: ExportSpec) -> dict[str, Any]:
    """Everything that the bytes depend on besides what people typed."""
    network = session.get_one(Network, study.network_id)
    explained = session.scalars(
        select(Image.made_by)
        .where(Image.study_id == study.id, Image.status == "done")
        .distinct()
        .order_by(Image.made_by)
    )
    grouped = session.scalars(
        select(LocalExplanation.made_by)
        .join(Image, Image.id == LocalExplanation.image_id)
        .where(Image.study_id == study.id, ~LocalExplanation.simulated)
        .distinct()
        .order_by(LocalExplanation.made_by)
    )
    return {
        "code": {name: version(name) for name in ("layerplay", "pyarrow")},
        "network": {
            "name": network.name,
            "architecture": network.architecture,
            "weights": network.weights,
            "weights_sha256": network.weights_sha256,
            "fingerprint": network.fingerprint,
        },
        "explanations": {
            "clusterer": study.clusterer,
            "seed": study.seed,
            "layers": [layer.name for layer in study.layers],
            "runs": list(explained),
        },
        "concepts": list(grouped),
        "export": spec.as_json(),
    }


def number(session: Session, prepared: Prepared) -> tuple[Snapshot, bool]:
    """Give a prepared snapshot the study's next number; the snapshot, and whether it is new. When
    the data is what the last snapshot holds, that one is the snapshot: whoever asks twice, or a
    job that runs twice, makes no second one."""
    # Two at once take turns, and no player waits for them.
    of_study = select(Study).where(Study.slug == prepared.study_slug)
    study = session.scalars(of_study.with_for_update(key_share=True)).one()
    last = session.scalar(
        select(Snapshot)
        .where(Snapshot.study_id == study.id)
        .order_by(Snapshot.number.desc())
        .limit(1)
    )
    if last is not None and last.sha256 == prepared.sha256:
        return last, False
    snapshot = Snapshot(
        study_id=study.id,
        number=1 if last is None else last.number + 1,
        made_by=prepared.made_by,
        files=[asdict(entry) for entry in prepared.files],
        file_key=prepared.file_key,
        size_bytes=prepared.size_bytes,
        sha256=prepared.sha256,
    )
    session.add(snapshot)
    session.flush()
    after = {"number": snapshot.number, "sha256": snapshot.sha256}
    audit.record(session, "export.snapshot", Subject.of_study(study), study=study, after=after)
    return snapshot, True


def request(session: Session, study: Study, *, licence: str) -> None:
    """Ask for a snapshot of the study as it is. InvalidInputError for what is no licence."""
    licence = ExportSpec(licence=licence).licence
    enqueue(session, "exports.make_snapshot", study_slug=study.slug, licence=licence)


def of_study(
    session: Session, study: Study, *, limit: int | None = None, below: int | None = None
) -> list[Snapshot]:
    """The study's snapshots, newest first. below: the number of the last one that was seen."""
    query = select(Snapshot).where(Snapshot.study_id == study.id)
    if below is not None:
        query = query.where(Snapshot.number < below)
    return list(session.scalars(query.order_by(Snapshot.number.desc()).limit(limit)))


def get(session: Session, study: Study, number: int) -> Snapshot:
    snapshot = session.scalar(
        select(Snapshot).where(Snapshot.study_id == study.id, Snapshot.number == number)
    )
    if snapshot is None:
        raise NotFoundError(f"“{study.name}” has no snapshot {number}.")
    return snapshot


def file_key(storage: Storage, snapshot: Snapshot) -> str:
    """Where the archive of a snapshot lies."""
    if not storage.exists(snapshot.file_key):
        raise NotFoundError("The archive of this snapshot is gone: bring it back from a backup.")
    return snapshot.file_key


def verify(storage: Storage, snapshot: Snapshot) -> list[str]:
    """What is wrong with a snapshot's archive, in sentences; nothing when it is as it was made."""
    path = storage.path(snapshot.file_key)
    if not path.is_file():
        return ["The archive is gone."]
    with path.open("rb") as file:
        size_bytes, sha256 = digest(file)
    if (size_bytes, sha256) == (snapshot.size_bytes, snapshot.sha256):
        return []
    wrong = [f"The archive's SHA-256 is {sha256}, not {snapshot.sha256}."]
    try:
        with zipfile.ZipFile(path) as archive:
            wrong += _wrong_files(archive, snapshot.files)
    except zipfile.BadZipFile:
        wrong.append("It is no zip archive any more.")
    return wrong


def _wrong_files(archive: zipfile.ZipFile, files: list[dict[str, Any]]) -> list[str]:
    wrong: list[str] = []
    there = set(archive.namelist())
    for entry in files:
        if entry["name"] not in there:
            wrong.append(f"{entry['name']} is missing.")
            continue
        try:
            with archive.open(entry["name"]) as file:
                found = digest(file)
        except zipfile.BadZipFile:
            found = (0, "")
        if found != (entry["size_bytes"], entry["sha256"]):
            wrong.append(f"{entry['name']} is not as it was made.")
    wrong += [f"{name} was added." for name in sorted(there - {f["name"] for f in files})]
    return wrong
