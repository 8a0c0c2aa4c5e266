"""Studies: what goes in, what is refused with which words, and what is asked for."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.infra.errors import ConflictError, InvalidInputError, NotFoundError
from app.infra.queue import queued_jobs
from app.infra.storage import Storage
from app.models import Image, Network, Study
from app.services import computing, studies

MEGABYTE = 1_000_000


@pytest.fixture
def study(session: Session, network: Network) -> Study:
    return studies.create(
        session,
        name="Shapes and colours",
        network=network,
        classes=["boat", "house"],
        layers=[("block1", 8), ("block2", 16)],
    )


def add(
    session: Session, storage: Storage, study: Study, folder: Path
) -> tuple[list[Image], list[studies.Refusal]]:
    return studies.add_files(
        session,
        storage,
        study=study,
        class_name="boat",
        files=sorted(folder.iterdir()),
        max_bytes=MEGABYTE,
    )


def test_a_study_gets_an_address_made_of_its_name(study: Study) -> None:
    assert study.slug == "shapes-and-colours"


def test_layers_keep_their_order_from_input_to_output(session: Session, study: Study) -> None:
    found = studies.get(session, study.slug)
    assert [layer.name for layer in found.layers] == ["block1", "block2"]


def test_a_name_is_given_once(session: Session, study: Study, network: Network) -> None:
    with pytest.raises(ConflictError, match="Choose another name"):
        studies.create(
            session,
            name="Shapes & colours!".replace("&", "and"),
            network=network,
            classes=["a", "b"],
            layers=[],
        )


@pytest.mark.parametrize("name", ["", "  ", "!!!", "x" * 121])
def test_a_name_needs_letters_and_an_end(session: Session, network: Network, name: str) -> None:
    with pytest.raises(InvalidInputError, match="needs a name"):
        studies.create(session, name=name, network=network, classes=["a", "b"], layers=[])


def test_one_class_makes_no_game(session: Session, network: Network) -> None:
    with pytest.raises(InvalidInputError, match="at least two classes"):
        studies.create(session, name="One", network=network, classes=["a"], layers=[])


def test_an_unknown_study_is_answered_with_those_there_are(session: Session, study: Study) -> None:
    with pytest.raises(NotFoundError, match="Shapes and colours"):
        studies.find(session, "Shapes")


def test_a_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="one sub-folder of photos for each class"):
        studies.class_folders(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"There is no folder .*nowhere"):
        studies.class_folders(tmp_path / "nowhere")


def noise(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Picture.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Picture.fromarray(pixels).convert(mode)


def animated(path: Path) -> None:
    frames = [Picture.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])


def truncated(path: Path) -> None:
    buffer = io.BytesIO()
    noise().save(buffer, "JPEG")
    path.write_bytes(buffer.getvalue()[:300])


def too_many_pixels(path: Path) -> None:
    Picture.new("1", (11_000, 10_000)).save(path, "PNG")


def too_many_bytes(path: Path) -> None:
    path.write_bytes(b"x" * (MEGABYTE + 1))


def not_an_image(path: Path) -> None:
    path.write_text("Dear researcher, I am not a picture.")


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (animated, "animated"),
        (truncated, "damaged or cut short"),
        (too_many_pixels, "pixels"),
        (too_many_bytes, "larger than 1 MB"),
        (not_an_image, "not a picture"),
        (Path.touch, "empty"),
        (Path.mkdir, "folder"),
    ],
)
def test_a_bad_file_is_named_with_its_reason_and_the_rest_go_in(
    session: Session,
    storage: Storage,
    study: Study,
    tmp_path: Path,
    write: Callable[[Path], None],
    reason: str,
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    noise().save(folder / "good.png")
    write(folder / "bad.jpg")

    added, refused = add(session, storage, study, folder)

    assert [image.file_name for image in added] == ["good.png"]
    assert [refusal.file_name for refusal in refused] == ["boat/bad.jpg"]
    assert reason in refused[0].reason


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", "jpg"), ("I;16", "png"), ("P", "png")])
def test_unusual_pictures_go_in(
    session: Session, storage: Storage, study: Study, tmp_path: Path, mode: str, suffix: str
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    picture = noise("I").convert("I;16") if mode == "I;16" else noise(mode)
    picture.save(folder / f"photo.{suffix}")

    added, refused = add(session, storage, study, folder)

    assert (len(added), refused) == (1, [])


def test_each_picture_is_asked_to_be_explained_once(
    session: Session, storage: Storage, study: Study, drawn_photos: Path
) -> None:
    added, _ = add(session, storage, study, drawn_photos / "boat")
    again, refused = add(session, storage, study, drawn_photos / "boat")

    assert len(added) == 3
    assert (again, refused) == ([], [])
    jobs = queued_jobs(session)
    assert {job.name for job in jobs} == {"explanations.explain_image"}
    assert [job.arguments["image_id"] for job in jobs] == [str(image.id) for image in added]


def test_the_same_picture_under_another_name_is_refused(
    session: Session, storage: Storage, study: Study, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    noise().save(folder / "a.png")
    noise().save(folder / "b.png")

    added, refused = add(session, storage, study, folder)

    assert [image.file_name for image in added] == ["a.png"]
    assert refused == [studies.Refusal("boat/b.png", "It is the same picture as a.png.")]


def test_the_file_is_stored_byte_by_byte(
    session: Session, storage: Storage, study: Study, drawn_photos: Path
) -> None:
    added, _ = add(session, storage, study, drawn_photos / "boat")
    original = (drawn_photos / "boat" / added[0].file_name).read_bytes()
    assert storage.get(added[0].original_key) == original


def mark_done(session: Session, image: Image, at: datetime) -> None:
    image.status, image.maps_key, image.computed_at = "done", "maps/x.npz", at
    session.flush()


def test_progress_counts_and_foretells(
    session: Session, storage: Storage, study: Study, drawn_photos: Path
) -> None:
    images, _ = add(session, storage, study, drawn_photos / "boat")
    now = datetime.now(UTC)
    mark_done(session, images[0], now)
    mark_done(session, images[1], now + timedelta(seconds=4))

    progress = studies.progress(session, study)

    assert (progress.n_images, progress.n_done, progress.n_waiting) == (3, 2, 1)
    assert progress.images_per_s == pytest.approx(0.25)
    assert progress.seconds_left == pytest.approx(4)


def test_a_game_opens_when_the_last_picture_is_computed_or_has_failed(
    session: Session, storage: Storage, study: Study, drawn_photos: Path
) -> None:
    images, _ = add(session, storage, study, drawn_photos / "boat")
    mark_done(session, images[0], datetime.now(UTC))
    mark_done(session, images[1], datetime.now(UTC))
    studies.open_when_ready(session, study.id)
    session.refresh(study, ["status"])
    assert study.status == "computing"

    images[2].status, images[2].failure = "failed", "It has no colours."
    session.flush()
    studies.open_when_ready(session, study.id)
    session.refresh(study, ["status"])
    assert study.status == "open"


def test_a_game_without_a_single_map_stays_shut(
    session: Session, storage: Storage, study: Study, drawn_photos: Path
) -> None:
    images, _ = add(session, storage, study, drawn_photos / "boat")
    for image in images:
        image.status, image.failure = "failed", "It has no colours."
    session.flush()
    studies.open_when_ready(session, study.id)
    session.refresh(study, ["status"])
    assert study.status == "computing"


def test_resuming_asks_only_for_what_is_missing(
    session: Session, storage: Storage, study: Study, drawn_photos: Path
) -> None:
    images, _ = add(session, storage, study, drawn_photos / "boat")
    mark_done(session, images[0], datetime.now(UTC))
    images[1].status, images[1].failure = "failed", "It has no colours."
    session.flush()
    assert studies.resume(session, study) == 1
    assert studies.resume(session, study, retry_failed=True) == 2
    failed = select(func.count()).where(Image.study_id == study.id, Image.status == "failed")
    assert session.scalar(failed) == 0


class TestHonestProgress:
    """Three pictures, two of them done ten seconds apart, the last of those a while ago."""

    @pytest.fixture
    def quiet(
        self, session: Session, storage: Storage, study: Study, drawn_photos: Path
    ) -> Callable[[float], studies.Progress]:
        images, _ = add(session, storage, study, drawn_photos / "boat")

        def progress(quiet_s: float) -> studies.Progress:
            last = datetime.now(UTC) - timedelta(seconds=quiet_s)
            study.computing_since = last - timedelta(hours=1)
            for image, at in zip(images, (last - timedelta(seconds=10), last), strict=False):
                mark_done(session, image, at)
                image.compute_s = 10
            session.flush()
            return studies.progress(session, study)

        return progress

    def test_speed_is_that_of_late(self, quiet: Callable[[float], studies.Progress]) -> None:
        assert quiet(1).images_per_s == pytest.approx(1 / 10)
        assert quiet(1).seconds_left == pytest.approx(10)

    def test_it_falls_when_nothing_comes(self, quiet: Callable[[float], studies.Progress]) -> None:
        progress = quiet(30)
        assert progress.images_per_s == pytest.approx(2 / 40, rel=0.05)
        assert not progress.is_stalled

    def test_after_a_long_silence_nothing_is_foretold(
        self, quiet: Callable[[float], studies.Progress]
    ) -> None:
        progress = quiet(90)
        assert progress.is_stalled
        assert progress.seconds_left is None

    def test_a_sign_of_a_worker_ends_the_silence(
        self, session: Session, study: Study, quiet: Callable[[float], studies.Progress]
    ) -> None:
        quiet(90)
        progress = studies.progress(session, study, last_sign=datetime.now(UTC))
        assert not progress.is_stalled

    def test_what_was_before_a_stop_says_nothing_about_the_speed(
        self, session: Session, study: Study, quiet: Callable[[float], studies.Progress]
    ) -> None:
        quiet(30)
        studies.stop(session, study)
        assert studies.progress(session, study).seconds_left is None
        studies.resume(session, study)
        assert studies.progress(session, study).images_per_s is None


def test_a_game_that_is_to_be_looked_at_first_is_ready_and_not_open(
    session: Session, storage: Storage, study: Study, drawn_photos: Path
) -> None:
    study.opens_itself = False
    for image in add(session, storage, study, drawn_photos / "boat")[0]:
        mark_done(session, image, datetime.now(UTC))
    studies.open_when_ready(session, study.id)
    session.refresh(study, ["status"])
    assert study.status == "ready"


def test_what_somebody_stopped_is_not_asked_for_by_upkeep(
    session: Session, storage: Storage, study: Study, drawn_photos: Path
) -> None:
    images, _ = add(session, storage, study, drawn_photos / "boat")
    assert studies.unfinished(session) == [study]
    studies.stop(session, study)
    session.flush()
    assert studies.unfinished(session) == []
    assert computing.pending_image(session, images[0].id) is None
