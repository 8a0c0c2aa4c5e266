"""Admin pages: jobs with what failed, and the settings."""

import re

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.infra.jobs import Jobs
from app.infra.settings import Settings
from app.models import AuditEntry, ClassMeasurement, Export, Image, Study
from app.services.exports import ExportSpec
from tests.web.conftest import Sent


@pytest.fixture
def admin(researcher: TestClient) -> TestClient:
    return researcher


def press(client: TestClient, label: str) -> int:
    """The button "Try again: ..." or "Forget: ..." of the page, with its form's fields."""
    page = client.get("/admin/jobs").text
    for form in re.findall(r"<form.*?</form>", page, re.DOTALL):
        if f'aria-label="{label}' in form:
            fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
            address = re.search(r'action="([^"]+)"', form)
            assert address is not None
            return client.post(address[1], data=fields).status_code
    pytest.fail(f"no button {label}")


def test_what_the_tables_say_has_failed_is_tried_again(
    session: Session, admin: TestClient, sent: Sent, study: Study, image: Image
) -> None:
    image.status, image.failure, image.maps_key = "failed", "OutOfMemory", None
    spec = ExportSpec().as_json()
    export = Export(study_id=study.id, spec=spec, status="failed", failure="No room")
    measured = ClassMeasurement(
        class_id=image.class_id, simulated=False, status="failed", failure="Gone"
    )
    measured.asked_at = image.created_at
    session.add_all([export, measured])
    session.commit()
    page = admin.get("/admin/jobs").text
    for words in ("1 picture", "OutOfMemory", "export as jsonl", "No room", "measuring of boat"):
        assert words in page
    for label in ("pictures of", "export as jsonl", "measuring of boat"):
        assert press(admin, f"Try again: {label}") == 303
    assert [job.name for job in sent.jobs] == [
        "explanations.ask",
        "exports.write",
        "explanations.measure_class",
    ]
    session.expire_all()
    assert (image.status, export.status, measured.status) == ("pending", "waiting", "pending")
    assert "Nothing." in admin.get("/admin/jobs").text
    acts = session.scalars(select(AuditEntry.act).order_by(AuditEntry.id)).all()
    assert acts == ["study.resume", "job.retry", "job.retry"]


def test_another_job_is_sent_again_or_forgotten(
    admin: TestClient, sent: Sent, settings: Settings
) -> None:
    jobs = Jobs(settings.redis_url or "")
    jobs.note_failed(name="labels.group_class", told={"class_id": 3}, error="ValueError: odd")
    jobs.note_failed(name="labels.embed_words", told={}, error="ValueError: odder")
    assert press(admin, "Try again: labels.group_class") == 303
    assert [(job.name, job.arguments) for job in sent.jobs] == [
        ("labels.group_class", {"class_id": 3})
    ]
    assert press(admin, "Forget: labels.embed_words") == 303
    assert jobs.failed() == []
    jobs.close()


def test_settings_are_shown_without_what_is_secret(admin: TestClient, settings: Settings) -> None:
    page = admin.get("/admin/settings").text
    assert "LAYERPLAY_SECRET_KEY" in page
    assert "a key for tests" not in page
    assert "LAYERPLAY_MAX_PICTURE_MB" in page


def test_passwords_in_addresses_are_masked() -> None:
    addresses = {
        "database_url": "postgresql+psycopg://ann:p@ss:w@db.example/layerplay",
        "smtp_url": "smtps://me:secret@mail.example",
        "redis_url": "redis://:hidden@cache.example:6379/0",
    }
    shown = {one.variable: one for one in Settings(**addresses).described()}
    assert shown["DATABASE_URL"].value == "postgresql+psycopg://ann:••••@db.example/layerplay"
    assert shown["LAYERPLAY_SMTP_URL"].value == "smtps://me:••••@mail.example"
    assert shown["REDIS_URL"].value == "redis://:••••@cache.example:6379/0"
    assert shown["DATABASE_URL"].is_set
    assert not shown["LAYERPLAY_PORT"].is_set
