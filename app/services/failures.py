"""What could not be done and stands so in the tables, and trying it again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.infra.errors import NotFoundError
from app.infra.jobs import FailedJob
from app.infra.queue import enqueue
from app.models import ClassMeasurement, Export, Image, Study, StudyClass
from app.services import audit, export_jobs, global_explanations, studies
from app.services.audit import Subject

Kind = Literal["pictures", "export", "measurement"]

_MAX_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Failure:
    """Something of a study that has failed. key: what to say to try it again. at: when it failed,
    if that is known. n: how many pictures it is about."""

    kind: Kind
    key: str
    study: str
    what: str
    error: str
    at: datetime | None
    n: int = 1


def find(session: Session) -> list[Failure]:
    """Failed pictures by study, failed exports and failed measurements, at most fifty of each."""
    return _pictures(session) + _exports(session) + _measurements(session)


def _pictures(session: Session) -> list[Failure]:
    rows = session.execute(
        select(
            Study.slug, Study.name, func.count().label("n"), func.min(Image.failure).label("error")
        )
        .join(Image, Image.study_id == Study.id)
        .where(Image.status == "failed")
        .group_by(Study.id)
        .order_by(Study.name)
        .limit(_MAX_SHOWN)
    )
    return [
        Failure("pictures", row.slug, row.name, "pictures", row.error, None, row.n) for row in rows
    ]


def _exports(session: Session) -> list[Failure]:
    rows = session.execute(
        select(Export, Study.name)
        .join(Study, Study.id == Export.study_id)
        .where(Export.status == "failed")
        .order_by(Export.created_at.desc())
        .limit(_MAX_SHOWN)
    )
    return [
        Failure(
            "export",
            str(export.id),
            name,
            f"export as {export.spec['file_format']}",
            export.failure or "",
            export.finished_at,
        )
        for export, name in rows
    ]


def _measurements(session: Session) -> list[Failure]:
    rows = session.execute(
        select(ClassMeasurement, StudyClass.name, Study.name)
        .join(StudyClass, StudyClass.id == ClassMeasurement.class_id)
        .join(Study, Study.id == StudyClass.study_id)
        .where(ClassMeasurement.status == "failed")
        .order_by(ClassMeasurement.asked_at.desc())
        .limit(_MAX_SHOWN)
    )
    return [
        Failure(
            "measurement",
            f"{found.class_id}:{int(found.simulated)}",
            study,
            f"measuring of {class_name}",
            found.failure or "",
            found.asked_at,
        )
        for found, class_name, study in rows
    ]


def retry(session: Session, *, kind: Kind, key: str) -> None:
    """Ask once more for what has failed. NotFoundError for what is not there any more."""
    if kind == "pictures":
        studies.ask_to_resume(session, studies.get(session, key), retry_failed=True)
    elif kind == "export":
        _retry_export(session, key)
    else:
        _retry_measurement(session, key)


def _retry_export(session: Session, key: str) -> None:
    try:
        export_id = UUID(key)
    except ValueError:
        raise NotFoundError("There is no such export.") from None
    export = session.get(Export, export_id, with_for_update=True)
    if export is None:
        raise NotFoundError("There is no such export.")
    study = session.get_one(Study, export.study_id)
    export_jobs.resume(session, export)
    audit.record(session, "job.retry", Subject("export", key, "an export"), study=study)


def _retry_measurement(session: Session, key: str) -> None:
    class_id, _, simulated = key.partition(":")
    if not (class_id.isascii() and class_id.isdecimal() and len(class_id) < 19):
        raise NotFoundError("There is no such class.")
    image_class = global_explanations.get_class(session, int(class_id))
    global_explanations.ask_to_measure(session, class_id=image_class.id, simulated=simulated == "1")
    subject = Subject("class", class_id, f"the measuring of {image_class.name}")
    audit.record(session, "job.retry", subject, study=image_class.study)


def send_again(session: Session, job: FailedJob) -> None:
    """Ask once more for a job that has failed."""
    audit.record(session, "job.retry", Subject("job", job.id, job.name))
    enqueue(session, job.name, **job.told)
