"""The page that takes a study's data out."""

from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.infra.storage import Storage
from app.models import Export, Snapshot, Study
from app.services import export_jobs, exports
from tests.services.conftest import Game, make_game
from tests.services.played import play_all_kinds
from tests.web.conftest import Sent
from tests.web.reading import part, text_of

PAGE = "/studio/cats-and-dogs/exports"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def game(session: Session, storage: Storage) -> Game:
    game = make_game(session, storage)
    play_all_kinds(session, game)
    session.commit()
    return game


def write(session: Session, storage: Storage, export: Export) -> None:
    """Let an export be written, as a worker does."""
    assert export_jobs.start(session, export.id) is not None
    storage.put("exports/written.jsonl", b"the rows")
    export_jobs.finish(
        session,
        storage,
        export.id,
        file_key="exports/written.jsonl",
        file_name="cats-and-dogs-labels.jsonl",
    )
    session.commit()
    session.refresh(export)


class TestPage:
    def test_it_offers_formats_classes_layers_and_first_rows(
        self, researcher: TestClient, game: Game
    ) -> None:
        page = researcher.get(PAGE)
        assert page.status_code == 200
        text = text_of(page.text)
        for word in ("Parquet", "COCO", "Hugging Face", "cat", "dog", "block1", "8 rows"):
            assert word in text
        assert "edges" not in part(page.text, "preview")

    def test_the_preview_follows_the_form(self, researcher: TestClient, game: Game) -> None:
        wanted = {"content": "both", "classes": "dog", "given_from": "", "min_agreement": ""}
        preview = researcher.get(PAGE, params=wanted, headers=HTMX)
        assert "<html" not in preview.text
        text = text_of(preview.text)
        assert "Labels 1 Concepts 1" in text
        assert "tail" in text
        assert "ears" not in text

    def test_a_day_without_end_leaves_nothing_out(self, researcher: TestClient, game: Game) -> None:
        wanted = {"given_from": "0001-01-01", "given_until": "9999-12-31"}
        page = researcher.get(PAGE, params=wanted)
        assert page.status_code == 200
        assert "8 rows" in text_of(page.text)

    def test_where_there_is_nothing_no_rows_are_looked_for(
        self, researcher: TestClient, game: Game, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(exports, "label_rows")
        monkeypatch.delattr(exports, "concept_rows")
        wanted = {"content": "both", "min_agreement": "99"}
        preview = researcher.get(PAGE, params=wanted, headers=HTMX)
        assert "Labels 0 Concepts 0" in text_of(preview.text)

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            ({"classes": "kite"}, "There is no class “kite”."),
            ({"given_from": "yesterday"}, "The first day is not a date"),
            ({"given_from": "2026-03-02", "given_until": "2026-03-01"}, "The first day is after"),
            ({"min_agreement": "-1"}, "not a whole number"),
            ({"min_agreement": "9" * 30}, "not a whole number"),
            ({"reveal_index": "6"}, "The step is a number from 0 to 5"),
            ({"file_format": "xml"}, "file_format"),
            ({"licence": "x" * 101}, "A licence is a name"),
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_what_cannot_be_exported_is_said_and_nothing_is_stored(
        self,
        researcher: TestClient,
        session: Session,
        game: Game,
        sent: Sent,
        method: str,
        wanted: dict[str, str],
        said: str,
    ) -> None:
        key = "params" if method == "GET" else "data"
        answer = researcher.request(method, PAGE, **{key: wanted})  # type: ignore[arg-type]
        assert answer.status_code == 422
        assert said in text_of(answer.text)
        assert session.scalars(select(Export)).all() == []
        assert sent.jobs == []

    def test_labels_are_shown_as_text_whatever_they_hold(
        self, researcher: TestClient, session: Session, game: Game
    ) -> None:
        page = researcher.get(PAGE)
        assert "a &#34;quoted&#34;, label" in page.text

    def test_an_unknown_study_is_not_found(self, researcher: TestClient) -> None:
        assert researcher.get("/studio/nowhere/exports").status_code == 404


class TestExport:
    @pytest.fixture
    def export(self, researcher: TestClient, session: Session, game: Game) -> Export:
        researcher.post(PAGE, data={"classes": ["cat", "dog"], "licence": "cc0-1.0"})
        return session.scalars(select(Export)).one()

    def test_asking_for_one_stores_it_and_sends_a_job(
        self, researcher: TestClient, export: Export, sent: Sent
    ) -> None:
        assert export.status == "waiting"
        assert export.spec["selection"]["classes"] == ["cat", "dog"]
        assert export.spec["licence"] == "cc0-1.0"
        (job,) = sent.jobs
        assert (job.name, job.arguments) == ("exports.write", {"export_id": str(export.id)})
        assert "waiting for a worker" in text_of(researcher.get(PAGE).text)

    def test_the_list_asks_for_itself_until_all_are_done(
        self, researcher: TestClient, session: Session, storage: Storage, export: Export
    ) -> None:
        polled = 'hx-trigger="every 2s"'
        assert polled in researcher.get(f"{PAGE}/jobs", headers=HTMX).text
        write(session, storage, export)
        assert polled not in researcher.get(f"{PAGE}/jobs", headers=HTMX).text

    def test_a_finished_one_is_downloaded_under_its_name(
        self, researcher: TestClient, session: Session, storage: Storage, export: Export
    ) -> None:
        assert researcher.get(f"{PAGE}/{export.id}/file").status_code == 409
        write(session, storage, export)
        answer = researcher.get(f"{PAGE}/{export.id}/file")
        assert answer.status_code == 200
        assert 'filename="cats-and-dogs-labels.jsonl"' in answer.headers["content-disposition"]
        assert answer.content == b"the rows"

    def test_it_is_cancelled_and_asked_for_again(
        self, researcher: TestClient, session: Session, export: Export, sent: Sent
    ) -> None:
        listed = researcher.post(f"{PAGE}/{export.id}/cancel", headers=HTMX)
        assert "cancelled" in text_of(listed.text)
        answer = researcher.post(f"{PAGE}/{export.id}/resume")
        assert answer.status_code == 303
        session.refresh(export)
        assert export.status == "waiting"
        assert [job.name for job in sent.jobs] == ["exports.write"] * 2

    def test_one_that_is_being_written_cannot_be_asked_for_again(
        self, researcher: TestClient, export: Export
    ) -> None:
        assert researcher.post(f"{PAGE}/{export.id}/resume").status_code == 409

    def test_an_export_of_another_study_is_not_found(
        self, researcher: TestClient, study: Study, export: Export
    ) -> None:
        for id_ in (export.id, uuid4()):
            address = f"/studio/{study.slug}/exports/{id_}/file"
            assert researcher.get(address).status_code == 404


class TestSnapshots:
    def test_asking_for_one_sends_a_job(
        self, researcher: TestClient, game: Game, sent: Sent
    ) -> None:
        answer = researcher.post(f"{PAGE}/snapshots", data={"licence": ""})
        assert answer.status_code == 303
        (job,) = sent.jobs
        assert job.name == "exports.make_snapshot"
        assert job.arguments == {"study_slug": "cats-and-dogs", "licence": "unknown"}

    def test_one_is_listed_with_what_made_it_and_downloaded(
        self, researcher: TestClient, session: Session, storage: Storage, game: Game
    ) -> None:
        storage.put("snapshots/abc.zip", b"an archive")
        session.add(
            Snapshot(
                study_id=game.study.id,
                number=1,
                made_by={
                    "code": {"layerplay": "9.9.9"},
                    "network": {"name": "net", "weights_sha256": "f" * 64},
                    "explanations": {"clusterer": "fast", "seed": 0},
                    "concepts": [{"method": "layerplay"}],
                    "export": {"licence": "cc-by-4.0"},
                },
                files=[],
                file_key="snapshots/abc.zip",
                size_bytes=10,
                sha256="e" * 64,
            )
        )
        session.commit()
        text = text_of(researcher.get(PAGE).text)
        assert "Snapshot 1" in text
        assert "Layerplay 9.9.9" in text
        assert "e" * 64 in text
        answer = researcher.get(f"{PAGE}/snapshots/1/file")
        assert answer.content == b"an archive"
        assert "cats-and-dogs-snapshot-1.zip" in answer.headers["content-disposition"]
        assert researcher.get(f"{PAGE}/snapshots/2/file").status_code == 404
