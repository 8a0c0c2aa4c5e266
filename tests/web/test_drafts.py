"""The wizard: who may enter, what comes in how, what stays after a mistake."""

import io
from collections.abc import Iterator
from uuid import uuid4
from zipfile import ZipFile

import pytest
from fastapi import FastAPI
from PIL import Image as Picture
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.infra.settings import Settings
from app.infra.storage import Storage
from app.models import Network, Study, StudyDraft, Upload
from app.services import drafts, intake
from app.web import uploads
from tests.factories import make_account, make_network
from tests.web.conftest import Sent, sign_in
from tests.web.reading import part, text_of

HTMX = {"HX-Request": "true"}


@pytest.fixture
def draft(session: Session) -> StudyDraft:
    draft = drafts.create(session, name="Cats and dogs")
    session.commit()
    return draft


@pytest.fixture
def network(session: Session) -> Network:
    network = make_network(session, classes=("cat", "dog"))
    session.commit()
    return network


@pytest.fixture
def complete(session: Session, storage: Storage, draft: StudyDraft, network: Network) -> StudyDraft:
    """A draft that lacks nothing."""
    draft.network = network
    draft.layers = [
        {"name": "block1", "n_channels": 8, "height": 4, "width": 4, "is_default": True}
    ]
    draft.chosen_layers = ["block1"]
    received = []
    for name, colour in (("cat", "red"), ("dog", "blue")):
        key = drafts.upload_key(draft.id)
        storage.put(key, picture(colour))
        received.append(drafts.Received(f"{name}/1.png", key, 100))
    drafts.add_uploads(session, draft, class_name=None, received=received)
    look_at_all(session, storage, draft)
    session.commit()
    return draft


def picture(colour: str) -> bytes:
    buffer = io.BytesIO()
    Picture.new("RGB", (30, 20), colour).save(buffer, "PNG")
    return buffer.getvalue()


def look_at_all(session: Session, storage: Storage, draft: StudyDraft) -> None:
    """What a worker does."""
    limits = intake.Limits(max_picture_bytes=10**6, max_bytes=10**7, max_pictures=100)
    while not intake.take_in_some(session, storage, draft_id=draft.id, limits=limits).is_all:
        pass
    session.commit()


def address(draft: StudyDraft, step: str) -> str:
    return f"/drafts/{draft.id}/{step}"


def stored_uploads(storage: Storage) -> list[str]:
    return [key for key in storage.keys("drafts") if "/uploads/" in key]


def test_nothing_of_an_upload_is_kept_for_a_player(
    client: TestClient, session: Session, draft: StudyDraft, storage: Storage
) -> None:
    sign_in(session, client, make_account(session))
    answer = client.post(address(draft, "pictures"), files={"files": ("1.png", picture("red"))})
    assert answer.status_code == 403
    assert storage.keys("drafts") == []


class TestName:
    def test_a_name_makes_a_draft(self, researcher: TestClient, session: Session) -> None:
        answer = researcher.post("/drafts/new", data={"name": " Birds   today "})
        draft = session.scalars(select(StudyDraft)).one()
        assert draft.name == "Birds today"
        assert answer.headers["location"] == f"/drafts/{draft.id}/network"

    def test_a_taken_name_is_said_and_stays_in_the_field(
        self, researcher: TestClient, session: Session, study: Study
    ) -> None:
        answer = researcher.post("/drafts/new", data={"name": study.name})
        assert answer.status_code == 409
        assert "Choose another name" in text_of(answer.text)
        assert f'value="{study.name}"' in answer.text
        assert session.scalar(select(StudyDraft)) is None


class TestDraft:
    def test_it_waits_in_the_studio(self, researcher: TestClient, draft: StudyDraft) -> None:
        assert f'href="/drafts/{draft.id}"' in researcher.get("/studio").text

    def test_it_goes_on_where_something_is_missing(
        self, researcher: TestClient, draft: StudyDraft
    ) -> None:
        answer = researcher.get(f"/drafts/{draft.id}")
        assert answer.headers["location"] == address(draft, "network")

    def test_one_that_is_gone_is_not_found(
        self, researcher: TestClient, session: Session, draft: StudyDraft
    ) -> None:
        researcher.post(address(draft, "discard"))
        assert researcher.get(address(draft, "network")).status_code == 404


class TestNetwork:
    def test_a_choice_is_read_by_a_worker_and_the_page_waits(
        self, researcher: TestClient, draft: StudyDraft, sent: Sent
    ) -> None:
        form = {"source": "named", "name": "resnet18"}
        assert researcher.post(address(draft, "network"), data=form).status_code == 303
        assert [job.name for job in sent.jobs] == ["drafts.read_network"]
        page = researcher.get(address(draft, "network"))
        assert 'hx-trigger="every 1s"' in page.text
        alone = researcher.get(address(draft, "network"), headers=HTMX)
        assert part(alone.text, "network") == part(page.text, "network") != ""

    def test_what_is_wrong_with_it_is_said(
        self, researcher: TestClient, session: Session, draft: StudyDraft
    ) -> None:
        draft.network_source, draft.network_problem = "x", "It does not fit resnet18."
        session.commit()
        page = researcher.get(address(draft, "network")).text
        assert "This network cannot be used. It does not fit resnet18." in text_of(page)
        assert "every 1s" not in page

    def test_a_file_of_the_server_is_no_name(
        self, researcher: TestClient, draft: StudyDraft
    ) -> None:
        form = {"source": "named", "name": "/etc/passwd"}
        assert researcher.post(address(draft, "network"), data=form).status_code == 422

    def test_its_files_come_together(
        self, researcher: TestClient, session: Session, draft: StudyDraft, storage: Storage
    ) -> None:
        files = {
            "description": ("my net.json", b'{"architecture": "alexnet", "weights": "/x"}'),
            "weights": ("w.safetensors", b"\x00" * 3_000_000),
        }
        assert researcher.post(address(draft, "network-files"), files=files).status_code == 303
        session.refresh(draft)
        assert draft.network_source is not None
        key = draft.network_source.removeprefix("file:")
        assert key.endswith("/my-net.json")
        assert b'"weights": "w.safetensors"' in storage.get(key)
        assert len(storage.get(key.replace("my-net.json", "w.safetensors"))) == 3_000_000

    @pytest.mark.parametrize(
        ("files", "reason"),
        [
            (
                {"description": ("n.json", b"{}"), "weights": ("w.pth", b"\x80\x02" * 9)},
                "safetensors only",
            ),
            (
                {"description": ("n.json", b"{"), "weights": ("w.safetensors", b"")},
                "not valid JSON",
            ),
            ({"description": ("n.json", b"{}")}, "Choose both files"),
        ],
    )
    def test_what_cannot_be_one_is_refused_in_a_sentence(
        self,
        researcher: TestClient,
        session: Session,
        draft: StudyDraft,
        storage: Storage,
        files: dict[str, tuple[str, bytes]],
        reason: str,
    ) -> None:
        answer = researcher.post(address(draft, "network-files"), files=files)
        assert answer.status_code == 422
        assert reason in text_of(answer.text)
        session.refresh(draft)
        assert draft.network_source is None
        assert storage.keys("drafts") == []


class TestPictures:
    def test_they_are_stored_as_they_come_and_a_worker_looks_at_them(
        self,
        researcher: TestClient,
        session: Session,
        draft: StudyDraft,
        storage: Storage,
        sent: Sent,
    ) -> None:
        content = picture("red")
        files = [("files", ("cat/1.png", content)), ("files", ("2.png", picture("tan")))]
        answer = researcher.post(
            address(draft, "pictures"), data={"class_name": ""}, files=files, headers=HTMX
        )
        assert "2 files still to be looked at" in text_of(answer.text)
        uploaded = session.scalars(select(Upload).order_by(Upload.path.desc())).all()
        assert [(one.path, one.class_name) for one in uploaded] == [
            ("cat/1.png", None),
            ("2.png", None),
        ]
        assert storage.get(uploaded[0].storage_key) == content
        assert [job.name for job in sent.jobs] == ["drafts.take_in"]

    def test_the_page_names_each_bad_file(
        self, researcher: TestClient, session: Session, draft: StudyDraft, storage: Storage
    ) -> None:
        buffer = io.BytesIO()
        with ZipFile(buffer, "w") as archive:
            archive.writestr("cat/1.png", picture("red"))
            archive.writestr("cat/<b>2</b>.png", b"no picture")
        files = {"files": ("p.zip", buffer.getvalue())}
        assert researcher.post(address(draft, "pictures"), files=files).status_code == 303
        look_at_all(session, storage, draft)
        page = researcher.get(address(draft, "pictures")).text
        said = text_of(page)
        assert "1 picture of 1 class; 1 file left out" in said
        assert "cat/<b>2</b>.png : It is not a picture in a format that we can read." in said
        assert "every 1s" not in page

    def test_an_upload_that_breaks_off_leaves_nothing(
        self, researcher: TestClient, session: Session, draft: StudyDraft, storage: Storage
    ) -> None:
        whole = multipart({"a.png": picture("red"), "b.png": picture("tan")})
        answer = researcher.post(
            address(draft, "pictures"),
            content=whole[:-40],
            headers={"Content-Type": "multipart/form-data; boundary=xx"},
        )
        assert answer.status_code == 408
        assert session.scalar(select(Upload)) is None
        assert stored_uploads(storage) == []

    @pytest.mark.parametrize("where", ["/drafts/{}/pictures", "/api/v1/drafts/{}/pictures"])
    @pytest.mark.parametrize("is_cleared", [False, True])
    def test_one_that_is_discarded_meanwhile_keeps_nothing_of_it(
        self,
        researcher: TestClient,
        session: Session,
        draft: StudyDraft,
        storage: Storage,
        where: str,
        is_cleared: bool,
    ) -> None:
        whole = multipart({"a.png": picture("red"), "b.png": picture("tan")})

        def pieces() -> Iterator[bytes]:
            yield whole[:90]  # in the middle of the first file
            drafts.discard(session, draft)
            session.commit()
            if is_cleared:
                drafts.clear_files(session, storage, draft_id=draft.id)
            yield whole[90:]

        answer = researcher.post(
            where.format(draft.id),
            content=pieces(),
            headers={"Content-Type": "multipart/form-data; boundary=xx"},
        )
        assert answer.status_code == 404
        assert "draft is gone" in text_of(answer.text)
        assert stored_uploads(storage) == []

    @pytest.mark.parametrize("where", ["/drafts/{}/pictures", "/api/v1/drafts/{}/pictures"])
    def test_a_class_that_is_no_name_keeps_nothing_of_them(
        self, researcher: TestClient, draft: StudyDraft, storage: Storage, where: str
    ) -> None:
        answer = researcher.post(
            where.format(draft.id),
            data={"class_name": "x" * 201},
            files={"files": ("1.png", picture("red"))},
        )
        assert answer.status_code == 422
        assert stored_uploads(storage) == []

    def test_while_one_comes_in_others_have_its_turn_and_its_connection(
        self, researcher: TestClient, app: FastAPI, session: Session, draft: StudyDraft
    ) -> None:
        whole = multipart({"a.png": picture("red")})
        in_turn: list[int] = []

        def pieces() -> Iterator[bytes]:
            in_turn.append(app.state.turns.borrowed_tokens)
            yield whole

        answer = researcher.post(
            address(draft, "pictures"),
            content=pieces(),
            headers={"Content-Type": "multipart/form-data; boundary=xx"},
        )
        assert answer.status_code == 303
        assert in_turn == [0]
        assert app.state.turns.borrowed_tokens == 0

    def test_more_than_may_come_at_once_is_refused_before_it_is_read(
        self, researcher: TestClient, draft: StudyDraft, settings: Settings, storage: Storage
    ) -> None:
        settings.max_upload_mb = 1
        files = {"files": ("1.png", bytes(1_100_000))}
        answer = researcher.post(address(draft, "pictures"), files=files, headers=HTMX)
        assert answer.status_code == 413
        assert "more than 1 MB at once" in answer.text
        assert stored_uploads(storage) == []

    def test_a_body_that_does_not_say_how_long_it_is_is_cut_off_at_the_limit(
        self, researcher: TestClient, draft: StudyDraft, settings: Settings, storage: Storage
    ) -> None:
        settings.max_upload_mb = 1
        whole = multipart({"a.png": bytes(1_100_000)})

        def pieces() -> Iterator[bytes]:
            for at in range(0, len(whole), 100_000):
                yield whole[at : at + 100_000]

        answer = researcher.post(
            address(draft, "pictures"),
            content=pieces(),
            headers={"Content-Type": "multipart/form-data; boundary=xx"},
        )
        assert answer.status_code == 413
        assert stored_uploads(storage) == []

    @pytest.mark.parametrize(
        "headers", [{"Content-Type": "text/plain"}, {"Content-Type": "multipart/form-data"}]
    )
    def test_what_is_no_upload_is_refused(
        self, researcher: TestClient, draft: StudyDraft, headers: dict[str, str]
    ) -> None:
        answer = researcher.post(address(draft, "pictures"), content=b"x", headers=headers)
        assert answer.status_code == 422

    def test_a_field_that_never_ends_is_cut_off(
        self, researcher: TestClient, draft: StudyDraft
    ) -> None:
        data = {"class_name": "x" * (uploads.MAX_FIELD_BYTES + 1)}
        files = {"files": ("1.png", picture("red"))}
        answer = researcher.post(address(draft, "pictures"), data=data, files=files)
        assert answer.status_code == 413

    def test_an_empty_form_says_what_to_do(self, researcher: TestClient, draft: StudyDraft) -> None:
        answer = researcher.post(address(draft, "pictures"), files={"files": ("", b"")})
        assert answer.status_code == 422
        assert "Choose some pictures" in text_of(answer.text)

    def test_a_class_that_no_draft_can_have_is_not_found(
        self, researcher: TestClient, draft: StudyDraft
    ) -> None:
        answer = researcher.post(address(draft, "pictures/remove"), data={"class_name": "a\x00"})
        assert answer.status_code == 404

    def test_thumbnails_are_shown(self, researcher: TestClient, complete: StudyDraft) -> None:
        page = researcher.get(address(complete, "pictures")).text
        source = next(piece for piece in page.split('"') if "/thumbnails/" in piece)
        answer = researcher.get(source)
        assert answer.headers["content-type"] == "image/jpeg"
        assert Picture.open(io.BytesIO(answer.content)).size == (30, 20)


def multipart(files: dict[str, bytes]) -> bytes:
    parts = [
        b'--xx\r\nContent-Disposition: form-data; name="files"; filename="'
        + name.encode()
        + b'"\r\n\r\n'
        + content
        + b"\r\n"
        for name, content in files.items()
    ]
    return b"".join(parts) + b"--xx--\r\n"


class TestFinish:
    def test_a_complete_draft_becomes_a_study(
        self, researcher: TestClient, session: Session, complete: StudyDraft, sent: Sent
    ) -> None:
        form = {"further_choices": "fox\nowl", "n_wanted": "5", "visibility": "unlisted"}
        assert researcher.post(address(complete, "game"), data=form).status_code == 303
        sent.jobs.clear()
        answer = researcher.post(address(complete, "finish"))
        assert answer.headers["location"] == "/studio/cats-and-dogs"
        study = session.scalars(select(Study)).one()
        assert (study.n_wanted, study.visibility, study.opens_itself) == (5, "unlisted", False)
        assert [job.name for job in sent.jobs] == ["explanations.ask", "drafts.clear_files"]
        assert researcher.post(address(complete, "finish")).status_code == 404

    def test_an_incomplete_one_says_what_it_lacks(
        self, researcher: TestClient, session: Session, draft: StudyDraft
    ) -> None:
        said = text_of(researcher.get(address(draft, "review")).text)
        assert "Choose a network that can be read. Add pictures." in said
        assert researcher.post(address(draft, "finish")).status_code == 409
        assert session.scalar(select(Study)) is None

    @pytest.mark.parametrize("n_wanted", ["0", "-3", "many", "1.5", "99999999"])
    def test_rounds_are_a_number(
        self, researcher: TestClient, complete: StudyDraft, n_wanted: str
    ) -> None:
        answer = researcher.post(address(complete, "game"), data={"n_wanted": n_wanted})
        assert answer.status_code == 422

    def test_a_preview_is_asked_for_and_waited_for(
        self, researcher: TestClient, complete: StudyDraft, sent: Sent
    ) -> None:
        answer = researcher.post(address(complete, "preview"), headers=HTMX)
        assert "A worker explains the picture" in text_of(answer.text)
        assert sent.jobs[-1].name == "drafts.preview"

    @pytest.mark.parametrize("name", ["١-١", "1-", "-", "9" * 300 + "-1", "view-1"])
    def test_a_name_that_no_picture_of_a_preview_has_is_not_found(
        self, researcher: TestClient, draft: StudyDraft, name: str
    ) -> None:
        assert researcher.get(address(draft, f"preview/{uuid4()}/{name}.jpg")).status_code == 404
