"""The pages of the concepts job's runs."""

import json

from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.models import Image, Study
from app.services import labels, rounds
from tests.factories import make_player
from tests.services.test_labels import EMBED
from tests.web.reading import text_of


def say(session: Session, study: Study, class_id: int, *texts: str) -> None:
    player = make_player(session)
    round_ = rounds.deal(session, player=player, study=study)
    assert round_ is not None
    rounds.guess(session, round_id=round_.id, player=player, class_id=class_id, labels=texts)
    labels.group_class(session, class_id=class_id, embed=EMBED, recipe="paper")
    session.commit()


def test_older_runs_stay_readable(
    researcher: TestClient, session: Session, study: Study, image: Image
) -> None:
    address = f"/studio/{study.slug}/classes/{image.class_id}"
    say(session, study, image.class_id, "sail")
    say(session, study, image.class_id, "mast")
    page = researcher.get(f"{address}/runs").text
    assert page.index(f"{address}/runs/2?players=people") < page.index(f"{address}/runs/1?")
    assert "not enough labels yet" in text_of(page)
    assert f"{address}/runs?players=people" in researcher.get(address).text
    first = text_of(researcher.get(f"{address}/runs/1").text)
    assert "from 1 label of people" in first
    assert "sail" in first
    assert "mast" not in first
    data = json.loads(researcher.get(f"{address}/runs/2/data.json").text)
    assert [one["name"] for one in data["concepts"]] == ["mast", "sail"]
    assert data["agreement"]["alpha"] is None


def test_a_run_that_does_not_exist_is_not_found(
    researcher: TestClient, study: Study, image: Image
) -> None:
    address = f"/studio/{study.slug}/classes/{image.class_id}/runs"
    assert researcher.get(f"{address}/7").status_code == 404
    assert "No run so far" in text_of(researcher.get(address).text)
