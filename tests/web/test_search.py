"""Search by meaning, as a page and as data."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.infra.storage import Storage
from app.models import Study
from app.web import search
from tests.services.test_concept_search import give
from tests.services.test_labels import EMBED
from tests.web.reading import text_of


def test_what_the_page_finds_its_data_hold(
    researcher: TestClient,
    session: Session,
    storage: Storage,
    study: Study,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "load_embedder", lambda _: EMBED)
    give(session, storage, study, ("sail", 1.0), ("sail", 3.0), ("water", 2.0))
    session.commit()
    page = researcher.get("/search?q=Sheet").text
    assert "1 concept near “Sheet”" in text_of(page)
    assert "/search/data.csv?q=Sheet&amp;players=people" in page
    _, *rows = researcher.get("/search/data.csv?q=Sheet").text.splitlines()
    assert [(row.split(",")[0], row.split(",")[-1]) for row in rows] == [
        ("sail", "3.0"),
        ("sail", "1.0"),
    ]
    (found,) = researcher.get("/search/data.json?q=Sheet").json()["found"]
    assert (found["word"], found["n_maps"], len(found["maps"])) == ("sail", 2, 2)
    assert researcher.get("/search/data.json?q=Sheet&players=simulated").json()["found"] == []
