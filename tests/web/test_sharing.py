"""Links by which anybody may read a study's explanations."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.models import Image, ShareLink, Study
from tests.factories import make_study
from tests.web.reading import is_sent_to_sign_in, text_of


def make_link(researcher: TestClient, study: Study, address: str) -> str:
    """The path of a new link."""
    answer = researcher.post(f"/studio/{study.slug}/shares", data={"address": address, "days": "7"})
    found = re.search(r"http://testserver(/shared/[\w-]+)", answer.text)
    assert found is not None
    return found[1]


@pytest.fixture
def reader(app: FastAPI) -> TestClient:
    """Somebody else, in a browser of their own."""
    return TestClient(app, follow_redirects=False)


def test_a_link_opens_its_page_and_the_studys_explanations_and_nothing_else(
    researcher: TestClient, reader: TestClient, session: Session, study: Study, image: Image
) -> None:
    page = f"/explanations/{image.id}"
    assert is_sent_to_sign_in(reader.get(page))
    opened = reader.get(make_link(researcher, study, page))
    assert opened.headers["location"] == page
    for path in (page, f"/images/{image.id}/view.jpg", f"/studio/{study.slug}/network"):
        assert reader.get(path).status_code == 200
    other = make_study(session, name="Other")
    session.commit()
    for path in ("/studio", f"/studio/{study.slug}", f"/studio/{other.slug}/network"):
        assert is_sent_to_sign_in(reader.get(path))


def test_a_reader_changes_nothing(
    researcher: TestClient, reader: TestClient, study: Study, image: Image
) -> None:
    reader.get(make_link(researcher, study, f"/explanations/{image.id}"))
    measure = f"/studio/{study.slug}/classes/{study.classes[0].id}/measure"
    assert is_sent_to_sign_in(reader.post(measure, data={"players": "people"}))
    share = f"/studio/{study.slug}/shares"
    assert is_sent_to_sign_in(reader.post(share, data={"address": "/", "days": "7"}))
    page = reader.get(f"/studio/{study.slug}/classes/{study.classes[0].id}").text
    assert "Measure now" not in page
    assert "Share by a link" not in page


def test_a_link_taken_back_closes_at_once(
    researcher: TestClient, reader: TestClient, session: Session, study: Study, image: Image
) -> None:
    page = f"/explanations/{image.id}"
    link = make_link(researcher, study, page)
    reader.get(link)
    number = session.scalars(select(ShareLink.id)).one()
    researcher.post(f"/studio/{study.slug}/shares/{number}/revoke")
    assert is_sent_to_sign_in(reader.get(page))
    answer = reader.get(link)
    assert answer.status_code == 403
    assert "has ended or was taken back" in text_of(answer.text)


def test_a_link_ends(
    researcher: TestClient, reader: TestClient, session: Session, study: Study, image: Image
) -> None:
    page = f"/explanations/{image.id}"
    reader.get(make_link(researcher, study, page))
    session.scalars(select(ShareLink)).one().expires_at = datetime.now(UTC) - timedelta(seconds=1)
    session.commit()
    assert is_sent_to_sign_in(reader.get(page))
    assert "None." in text_of(researcher.get(f"/studio/{study.slug}/shares").text)


def test_the_database_holds_no_token(
    researcher: TestClient, session: Session, study: Study, image: Image
) -> None:
    token = make_link(researcher, study, f"/explanations/{image.id}").rpartition("/")[2]
    stored = session.scalars(select(ShareLink)).one()
    assert token.encode() not in stored.token_digest
    assert token not in researcher.get(f"/studio/{study.slug}/shares").text


def test_sharing_says_that_whole_pictures_spoil_the_game(
    researcher: TestClient, study: Study
) -> None:
    said = text_of(researcher.get(f"/studio/{study.slug}/shares").text)
    assert "Whole pictures spoil the game." in said


@pytest.mark.parametrize(
    ("address", "days"),
    [("https://elsewhere.example", "7"), ("//elsewhere.example", "7"), ("/studio", "400")],
)
def test_other_sites_and_other_lengths_are_refused(
    researcher: TestClient, session: Session, study: Study, address: str, days: str
) -> None:
    answer = researcher.post(
        f"/studio/{study.slug}/shares", data={"address": address, "days": days}
    )
    assert answer.status_code == 422
    assert session.scalars(select(ShareLink)).all() == []


def test_a_made_up_token_opens_nothing(client: TestClient) -> None:
    assert client.get("/shared/made-up").status_code == 403
