"""The pages of the audit log."""

import re

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.models import Study
from app.services import audit, studies
from app.services.audit import Subject
from tests.factories import make_account, make_study
from tests.web.conftest import sign_in


@pytest.fixture
def study(session: Session, client: TestClient) -> Study:
    sign_in(session, client, make_account(session, "anna", role="admin"))
    study = make_study(session, name="Boats and kites")
    session.commit()
    return study


def test_an_act_in_the_browser_is_told_with_who_and_from_where(
    session: Session, client: TestClient, study: Study
) -> None:
    client.post(f"/studio/{study.slug}/visibility", data={"visibility": "private"})
    page = client.get("/admin/log").text
    assert re.search(r"<b>anna</b> changed who may play <b>Boats and kites</b>", page)
    assert "from testclient" in page
    (line,) = audit.find(session, act="study.visibility")
    assert line.before == {"visibility": "public"}
    assert "<td>public</td><td>private</td>" in page


def test_a_studys_log_has_its_own_lines_and_no_addresses(
    session: Session, client: TestClient, study: Study
) -> None:
    client.post(f"/studio/{study.slug}/visibility", data={"visibility": "private"})
    other = make_study(session, name="Lamps")
    studies.set_visibility(session, other, visibility="private")
    session.commit()
    page = client.get(f"/studio/{study.slug}/log").text
    assert "Boats and kites</b>" in page
    assert "Lamps</b>" not in page
    assert "testclient" not in page


def test_words_and_act_narrow_it_down(session: Session, client: TestClient, study: Study) -> None:
    studies.set_visibility(session, study, visibility="private")
    studies.renew_invitation(session, study)
    session.commit()
    address = f"/studio/{study.slug}/log"
    assert client.get(address).text.count("<li>\n    <p><b>") == 2
    assert client.get(address, params={"act": "study.invitation"}).text.count("<time") == 1
    assert client.get(address, params={"q": "boat"}).text.count("<time") == 2
    assert "No line has that." in client.get(address, params={"q": "lamp"}).text


def test_older_lines_follow_without_gap_or_repeat(
    session: Session, client: TestClient, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PAGE_SIZE", 2)
    for n in range(5):
        audit.record(session, "study.open", Subject("study", str(n), f"number {n}"), study=study)
        session.flush()
    session.commit()
    address = f"/studio/{study.slug}/log?q=number"
    seen: list[str] = []
    while address:
        page = client.get(address).text
        seen += re.findall(r"<b>number (\d)</b>", page)
        found = re.search(r'href="([^"]*older_than[^"]*)"', page)
        address = found.group(1).replace("&amp;", "&") if found else ""
    assert seen == list("43210")


@pytest.mark.parametrize("older_than", ["0", "x", str(2**63)])
def test_a_made_up_place_in_the_log_is_refused(
    client: TestClient, study: Study, older_than: str
) -> None:
    answer = client.get(f"/studio/{study.slug}/log", params={"older_than": older_than})
    assert answer.status_code == 422
