from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.infra.storage import Storage
from app.models import ClusterMap, Image
from app.services.drawing import heat_picture, lit_picture
from tests.factories import make_image, make_study, spot_map


class CountingStorage(Storage):
    """A storage that knows how often a file of it was asked for."""

    n_asked = 0

    def path(self, key: str) -> Path:
        self.n_asked += 1
        return super().path(key)


def explained(session: Session, storage: Storage) -> tuple[Image, list[str]]:
    maps = {"layer4": [(60.0, spot_map(x=0.2)), (40.0, spot_map(x=0.8))]}
    image = make_image(session, storage, make_study(session), maps=maps)
    names = session.scalars(
        select(ClusterMap.array_name)
        .where(ClusterMap.image_id == image.id)
        .order_by(ClusterMap.rank)
    )
    return image, list(names)


def test_a_picture_that_was_drawn_is_not_drawn_again(session: Session, tmp_path: Path) -> None:
    storage = CountingStorage(tmp_path)
    image, (name, _) = explained(session, storage)
    first = lit_picture(storage, image, name, percent=5), heat_picture(storage, image, name)
    n_asked = storage.n_asked
    again = lit_picture(storage, image, name, percent=5), heat_picture(storage, image, name)
    assert again == first
    assert storage.n_asked == n_asked


def test_each_map_and_each_step_has_a_picture_of_its_own(session: Session, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    image, names = explained(session, storage)
    lit = [lit_picture(storage, image, name, percent=p) for name in names for p in (5, 20)]
    heated = [heat_picture(storage, image, name) for name in names]
    assert len({*lit, *heated}) == 6
