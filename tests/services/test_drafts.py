"""Studies in the making: what goes in, what is refused, what becomes of them."""

import errno
import io
import json
from pathlib import Path
from uuid import uuid4
from zipfile import ZipFile

import pytest
from PIL import Image as Picture
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.explain.pictures import PictureError, open_picture
from app.infra.errors import ConflictError, InvalidInputError, NotFoundError
from app.infra.queue import queued_jobs
from app.infra.storage import Storage
from app.models import DraftFile, Image, Network, StudyDraft, Upload
from app.services import drafts, intake, studies
from app.services.drafts import Received
from app.services.intake import Limits

LIMITS = Limits(max_picture_bytes=100_000, max_bytes=1_000_000, max_pictures=20)
LAYERS = [
    {"name": name, "n_channels": 8, "height": 4, "width": 4, "is_default": name == "b"}
    for name in ("a", "b", "c")
]


@pytest.fixture
def draft(session: Session) -> StudyDraft:
    return drafts.create(session, name="Cats & dogs")


def picture(colour: str) -> bytes:
    buffer = io.BytesIO()
    Picture.new("RGB", (30, 20), colour).save(buffer, "PNG")
    return buffer.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def hand_in(
    session: Session,
    storage: Storage,
    draft: StudyDraft,
    files: dict[str, bytes],
    *,
    class_name: str | None = None,
    limits: Limits = LIMITS,
) -> drafts.Contents:
    """Hand files in by their paths and have a worker look at all of them."""
    received = []
    for path, content in files.items():
        key = drafts.upload_key(draft.id)
        storage.put(key, content)
        received.append(Received(path, key, len(content)))
    drafts.add_uploads(session, draft, class_name=class_name, received=received)
    while not intake.take_in_some(session, storage, draft_id=draft.id, limits=limits).is_all:
        pass
    return drafts.contents(session, draft)


def counts(found: drafts.Contents) -> dict[str, int]:
    return {one.name: one.n_pictures for one in found.classes}


def reasons(found: drafts.Contents) -> dict[str, str]:
    return {refusal.file_name: refusal.reason for refusal in found.refusals}


class TestPictures:
    def test_folders_of_a_zip_are_classes(
        self, session: Session, storage: Storage, draft: StudyDraft
    ) -> None:
        files = {"all/cat/1.png": picture("red"), "all/cat/2.png": picture("tan")}
        content = zip_of({**files, "all/dog/1.png": picture("blue")})
        found = hand_in(session, storage, draft, {"photos.zip": content})
        assert counts(found) == {"cat": 2, "dog": 1}
        assert found.n_waiting == 0

    def test_folders_that_were_dropped_are_classes(
        self, session: Session, storage: Storage, draft: StudyDraft
    ) -> None:
        files = {"cat/1.png": picture("red"), "dog/1.png": picture("blue")}
        assert counts(hand_in(session, storage, draft, files)) == {"cat": 1, "dog": 1}

    def test_one_class_may_be_chosen_for_all(
        self, session: Session, storage: Storage, draft: StudyDraft
    ) -> None:
        files = {"1.png": picture("red"), "more.zip": zip_of({"dog/2.png": picture("blue")})}
        found = hand_in(session, storage, draft, files, class_name=" tabby   cat ")
        assert counts(found) == {"tabby cat": 2}

    def test_each_bad_file_is_named_and_the_rest_goes_in(
        self, session: Session, storage: Storage, draft: StudyDraft
    ) -> None:
        good = picture("red")
        content = zip_of(
            {
                "cat/good.png": good,
                "cat/notes.txt": b"Dear researcher",
                "cat/empty.png": b"",
                "cat/cut.png": picture("navy")[:60],
                "cat/again.png": good,
                "../up.png": picture("lime"),
                "cat/inner.zip": zip_of({"1.png": good}),
                "cat/large.png": bytes(100_001),
                "alone.png": picture("gold"),
            }
        )
        found = hand_in(session, storage, draft, {"photos.zip": content})
        assert counts(found) == {"cat": 1}
        said = reasons(found)
        assert said.keys() == {
            *("cat/notes.txt", "cat/empty.png", "cat/cut.png", "cat/again.png", "../up.png"),
            *("cat/inner.zip", "cat/large.png", "alone.png"),
        }
        assert said["cat/again.png"] == "It is the same picture as cat/good.png."
        assert "leads out" in said["../up.png"]
        assert "class is unknown" in said["alone.png"]
        assert "zip inside a zip" in said["cat/inner.zip"]

    def test_a_file_without_a_name_keeps_no_other_from_going_in(
        self, session: Session, storage: Storage, draft: StudyDraft
    ) -> None:
        content = zip_of({".": picture("tan"), "cat/1.png": picture("red")})
        found = hand_in(session, storage, draft, {"photos.zip": content})
        assert counts(found) == {"cat": 1}
        assert reasons(found) == {".": "It has no name."}

    def test_a_file_that_fails_as_none_has_before_is_named_and_the_rest_goes_in(
        self,
        session: Session,
        storage: Storage,
        draft: StudyDraft,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        odd = picture("tan")

        def open_all_but_one(content: bytes) -> Picture.Image:
            if content == odd:
                raise ZeroDivisionError("nobody thought of that")
            return open_picture(content)

        monkeypatch.setattr(intake, "open_picture", open_all_but_one)
        files = {"cat/odd.png": odd, "dog/1.png": picture("red")}
        found = hand_in(session, storage, draft, {**files, "photos.zip": zip_of(files)})
        assert counts(found) == {"dog": 1}
        assert [one.file_name for one in found.refusals] == ["cat/odd.png", "cat/odd.png"]
        assert "Something unexpected went wrong" in reasons(found)["cat/odd.png"]
        assert "cat/odd.png could not be looked at" in caplog.text
        assert "nobody thought of that" in caplog.text

    def test_no_file_is_refused_because_the_disk_is_full(
        self, session: Session, storage: Storage, draft: StudyDraft, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def put(key: str, content: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        key = drafts.upload_key(draft.id)
        storage.put(key, picture("red"))
        drafts.add_uploads(
            session, draft, class_name=None, received=[Received("cat/1.png", key, 100)]
        )
        monkeypatch.setattr(storage, "put", put)
        with pytest.raises(OSError, match="No space left"):
            intake.take_in_some(session, storage, draft_id=draft.id, limits=LIMITS)
        found = drafts.contents(session, draft)
        assert (found.n_waiting, found.refusals) == (1, [])

    def test_a_reason_that_quotes_the_file_is_made_readable(
        self, session: Session, storage: Storage, draft: StudyDraft, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(content: bytes) -> None:
            raise PictureError("It holds \x00\ud800" + "x" * 2000)

        monkeypatch.setattr(intake, "open_picture", refuse)
        found = hand_in(session, storage, draft, {"cat/1.png": picture("red")})
        (reason,) = reasons(found).values()
        assert reason.startswith("It holds xxx")
        assert len(reason) <= drafts.MAX_REASON + 1

    def test_a_zip_that_is_none_is_named(
        self, session: Session, storage: Storage, draft: StudyDraft
    ) -> None:
        broken = zip_of({"cat/1.png": picture("red")})[:50]
        found = hand_in(session, storage, draft, {"photos.zip": broken})
        assert "damaged or cut short" in reasons(found)["photos.zip"]

    def test_a_zip_without_files_is_named(
        self, session: Session, storage: Storage, draft: StudyDraft
    ) -> None:
        found = hand_in(session, storage, draft, {"photos.zip": zip_of({})})
        assert reasons(found) == {"photos.zip": "There is no file in it."}

    def test_a_study_holds_so_many_pictures_and_no_more(
        self, session: Session, storage: Storage, draft: StudyDraft
    ) -> None:
        files = {f"cat/{c}.png": picture(c) for c in ("red", "tan", "blue")}
        few = Limits(max_picture_bytes=100_000, max_bytes=1_000_000, max_pictures=2)
        found = hand_in(session, storage, draft, files, limits=few)
        assert counts(found) == {"cat": 2}
        assert list(reasons(found).values()) == [
            "The study has 2 pictures already, as many as it can hold."
        ]

    def test_the_same_again_is_passed_over_quietly(
        self, session: Session, storage: Storage, draft: StudyDraft
    ) -> None:
        files = {"cat/1.png": picture("red")}
        hand_in(session, storage, draft, files)
        found = hand_in(session, storage, draft, files)
        assert (counts(found), found.refusals) == ({"cat": 1}, [])

    def test_a_worker_that_was_killed_goes_on_in_the_middle_of_a_zip(
        self, session: Session, storage: Storage, draft: StudyDraft, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        colours = ("red", "tan", "blue", "gold", "lime")
        content = zip_of({f"cat/{c}.png": picture(c) for c in colours})
        key = drafts.upload_key(draft.id)
        storage.put(key, content)
        drafts.add_uploads(
            session, draft, class_name=None, received=[Received("p.zip", key, len(content))]
        )
        monkeypatch.setattr(intake, "_SHARE_S", 1e-9)
        seen = []
        while True:
            taken = intake.take_in_some(session, storage, draft_id=draft.id, limits=LIMITS)
            # What a killed worker knew is gone; the rows are all there is.
            session.expire_all()
            seen.append((drafts.contents(session, draft).n_pictures, taken.is_all))
            upload = session.scalar(select(Upload))
            if upload is None:
                break
            if len(seen) == 1:
                monkeypatch.setattr(intake, "_SHARE_S", 5)
        assert seen[-1] == (5, True)
        assert drafts.contents(session, draft).refusals == []

    def test_names_without_end_or_with_control_characters_are_made_readable(
        self, session: Session, storage: Storage, draft: StudyDraft
    ) -> None:
        path = "cat/" + "x" * 500 + "\x1b[31m\n.png"
        found = hand_in(session, storage, draft, {path: picture("red")})
        assert counts(found) == {"cat": 1}
        file = session.scalars(select(DraftFile)).one()
        assert file.path.isprintable()
        assert len(file.path) <= 400
        assert len(file.file_name) <= 300

    def test_a_class_can_be_taken_out_again(
        self, session: Session, storage: Storage, draft: StudyDraft
    ) -> None:
        hand_in(session, storage, draft, {"cat/1.png": picture("red"), "dog/1.png": picture("tan")})
        drafts.remove_class(session, draft, class_name="cat")
        assert counts(drafts.contents(session, draft)) == {"dog": 1}

    def test_no_class_has_a_zero_character_in_its_name(
        self, session: Session, storage: Storage, draft: StudyDraft
    ) -> None:
        hand_in(session, storage, draft, {"cat/1.png": picture("red")})
        with pytest.raises(NotFoundError):
            drafts.remove_class(session, draft, class_name="cat\x00")

    def test_nothing_handed_in_is_said(self, session: Session, draft: StudyDraft) -> None:
        with pytest.raises(InvalidInputError, match="Choose some pictures"):
            drafts.add_uploads(session, draft, class_name=None, received=[])


class TestNetwork:
    @pytest.mark.parametrize("source", ["resnet18", "layerplay:picturebook", "timm:resnet18.a1"])
    def test_a_worker_is_asked_to_read_it(
        self, session: Session, draft: StudyDraft, source: str
    ) -> None:
        drafts.choose_network(session, draft, source=source)
        assert [job.name for job in queued_jobs(session)] == ["drafts.read_network"]

    @pytest.mark.parametrize(
        "source",
        ["", "/etc/passwd", "../network.json", "layerplay:../x", "file:x", "registered:x"],
    )
    def test_files_of_the_server_cannot_be_named(
        self, session: Session, draft: StudyDraft, source: str
    ) -> None:
        with pytest.raises(InvalidInputError, match="not a network’s name"):
            drafts.choose_network(session, draft, source=source)

    def test_a_description_cannot_lead_to_another_file(
        self, session: Session, storage: Storage, draft: StudyDraft
    ) -> None:
        key = drafts.network_file_key(draft.id, "u", file_name="net.json", is_weights=False)
        weights = drafts.network_file_key(
            draft.id, "u", file_name="net.safetensors", is_weights=True
        )
        storage.put(key, json.dumps({"weights": "../../../secret.safetensors"}).encode())
        drafts.keep_network_files(session, storage, draft, description_key=key, weights_key=weights)
        assert json.loads(storage.get(key))["weights"] == "net.safetensors"

    @pytest.mark.parametrize(
        "content",
        [b"\xff", b"{", b"[1]", b"[" * 100_000, b'{"input_size": ' + b"9" * 5000 + b"}"],
        ids=["no text", "cut short", "a list", "without end", "a long number"],
    )
    def test_a_description_that_is_none_is_refused(
        self, session: Session, storage: Storage, draft: StudyDraft, content: bytes
    ) -> None:
        storage.put("drafts/x/net.json", content)
        with pytest.raises(InvalidInputError, match=r"^net\.json is not"):
            drafts.keep_network_files(
                session,
                storage,
                draft,
                description_key="drafts/x/net.json",
                weights_key="drafts/x/net.safetensors",
            )

    @pytest.mark.parametrize("name", ["model.pth", "model.pt", "model.bin", "safetensors"])
    def test_weights_are_safetensors(self, draft: StudyDraft, name: str) -> None:
        with pytest.raises(InvalidInputError, match="safetensors only"):
            drafts.network_file_key(draft.id, "u", file_name=name, is_weights=True)

    def test_a_name_with_folders_stays_in_its_own(
        self, draft: StudyDraft, storage: Storage
    ) -> None:
        key = drafts.network_file_key(
            draft.id, "u", file_name="../../a/..\\b c.safetensors", is_weights=True
        )
        assert key == f"drafts/{draft.id}/network-u/b-c.safetensors"
        storage.path(key)


@pytest.fixture
def complete(session: Session, storage: Storage, draft: StudyDraft, network: Network) -> StudyDraft:
    """A draft that lacks nothing."""
    draft.network, draft.layers, draft.chosen_layers = network, LAYERS, ["b"]
    hand_in(session, storage, draft, {"cat/1.png": picture("red"), "dog/1.png": picture("tan")})
    return draft


class TestFinish:
    def test_it_becomes_a_study_whose_pictures_are_asked_for(
        self, session: Session, complete: StudyDraft
    ) -> None:
        drafts.choose_layers(complete, names=["c", "a"])
        drafts.set_game(
            session,
            complete,
            further_choices=["fox", " cat ", "", "fox"],
            n_wanted=None,
            visibility="unlisted",
            opens_itself=False,
        )
        study = studies.get(session, drafts.finish(session, complete.id).slug)
        assert [c.name for c in study.classes] == ["cat", "dog", "fox"]
        assert [layer.name for layer in study.layers] == ["a", "c"]
        assert (study.status, study.visibility, study.n_wanted) == ("computing", "unlisted", None)
        assert [image.file_name for image in studies.images(session, study)] == ["1.png", "1.png"]
        assert [job.name for job in queued_jobs(session)][-2:] == [
            "explanations.ask",
            "drafts.clear_files",
        ]

    def test_it_becomes_one_only_once(self, session: Session, complete: StudyDraft) -> None:
        drafts.finish(session, complete.id)
        with pytest.raises(NotFoundError, match="has become a study"):
            drafts.finish(session, complete.id)

    def test_the_pictures_stay_and_the_rest_of_its_files_goes(
        self, session: Session, storage: Storage, complete: StudyDraft
    ) -> None:
        drafts.remove_class(session, complete, class_name="dog")
        drafts.set_game(
            session,
            complete,
            further_choices=["dog"],
            n_wanted=20,
            visibility="public",
            opens_itself=True,
        )
        drafts.finish(session, complete.id)
        drafts.clear_files(session, storage, draft_id=complete.id)
        key = session.scalars(select(Image.original_key)).one()
        assert storage.keys("pictures") == [key]
        assert storage.keys("drafts") == []

    def test_files_of_a_draft_that_goes_on_stay(
        self, session: Session, storage: Storage, complete: StudyDraft
    ) -> None:
        before = sorted(storage.keys("drafts"))
        drafts.clear_files(session, storage, draft_id=complete.id)
        assert sorted(storage.keys("drafts")) == before != []

    def test_what_is_missing_is_said_and_nothing_is_made(
        self, session: Session, draft: StudyDraft
    ) -> None:
        with pytest.raises(ConflictError) as error:
            drafts.finish(session, draft.id)
        for word in ("network", "pictures", "two answers"):
            assert word in error.value.message
        assert studies.list_all(session) == []

    def test_files_that_nobody_looked_at_yet_are_waited_for(
        self, session: Session, complete: StudyDraft
    ) -> None:
        session.add(Upload(draft_id=complete.id, path="x", storage_key="x", n_bytes=1))
        session.flush()
        with pytest.raises(ConflictError, match="Wait until every file"):
            drafts.finish(session, complete.id)

    def test_a_name_whose_letters_unfold_in_the_address_is_cut_there(
        self, session: Session, complete: StudyDraft
    ) -> None:
        drafts.rename(session, complete, name="ﬃ" * 120)
        assert drafts.finish(session, complete.id).slug == "ffi" * 40

    def test_a_name_taken_meanwhile_is_a_conflict(
        self, session: Session, complete: StudyDraft, network: Network
    ) -> None:
        studies.create(session, name="Cats dogs", network=network, classes=["a", "b"], layers=[])
        with pytest.raises(ConflictError, match="Choose another name"):
            drafts.finish(session, complete.id)


class TestGame:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"n_wanted": 0}, "Rounds for each map"),
            ({"visibility": "friends"}, "who may play"),
            ({"further_choices": [str(i) for i in range(41)]}, "more than anybody reads"),
            ({"further_choices": ["x" * 201]}, "1 to 200 letters"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, session: Session, draft: StudyDraft, change: dict[str, object], reason: str
    ) -> None:
        usual = {
            "further_choices": [],
            "n_wanted": 20,
            "visibility": "public",
            "opens_itself": False,
        }
        with pytest.raises(InvalidInputError, match=reason):
            drafts.set_game(session, draft, **{**usual, **change})  # type: ignore[arg-type]


class TestPreview:
    def test_other_layers_make_a_preview_void(self, session: Session, complete: StudyDraft) -> None:
        drafts.ask_preview(session, complete, file_id=None)
        complete.preview = {"problem": "none"}
        drafts.choose_layers(complete, names=["b"])
        assert complete.preview is not None
        drafts.choose_layers(complete, names=["a"])
        assert complete.preview is None

    def test_only_a_picture_of_the_draft_is_explained(
        self, session: Session, complete: StudyDraft
    ) -> None:
        with pytest.raises(NotFoundError):
            drafts.ask_preview(session, complete, file_id=uuid4())


def test_upkeep_asks_again_for_all_that_waits(
    session: Session, storage: Storage, complete: StudyDraft
) -> None:
    drafts.ask_preview(session, complete, file_id=None)
    other = drafts.create(session, name="Other")
    drafts.choose_network(session, other, source="resnet18")
    session.add(Upload(draft_id=other.id, path="x", storage_key="x", n_bytes=1))
    session.flush()
    n_before = len(queued_jobs(session))
    drafts.ask_again(session)
    asked = {job.name for job in queued_jobs(session)[n_before:]}
    assert asked == {"drafts.preview", "drafts.read_network", "drafts.take_in"}


def test_the_suggested_networks_are_torchvisions() -> None:
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    assert set(drafts.PUBLISHED_NETWORKS) <= set(known)


def test_the_networks_that_come_along_are_there() -> None:
    from app.services.trials import _OWN_FILES

    assert set(drafts.OWN_NETWORKS) == set(_OWN_FILES)
    assert all(Path(path).is_file() for path in _OWN_FILES.values())
