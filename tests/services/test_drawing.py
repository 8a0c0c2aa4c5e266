"""Pictures of a map are drawn once for all who are shown them."""

from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from app.infra.storage import Storage
from app.models import ClusterMap
from app.services import drawing
from tests.services.conftest import Game


@pytest.fixture
def heavy(session: Session, game: Game) -> ClusterMap:
    """The cat's heavy map with its picture."""
    query = select(ClusterMap).where(ClusterMap.id == game.maps[0].id)
    return session.scalars(
        query.options(joinedload(ClusterMap.image)).execution_options(populate_existing=True)
    ).one()


def test_what_was_drawn_for_one_is_there_for_the_next(
    heavy: ClusterMap, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = drawing.lit_picture(storage, heavy, percent=10)
    monkeypatch.delattr(drawing, "masked_picture")
    assert drawing.lit_picture(storage, heavy, percent=10) == first


def test_more_of_it_is_another_picture(heavy: ClusterMap, storage: Storage) -> None:
    less = drawing.lit_picture(storage, heavy, percent=10)
    assert drawing.lit_picture(storage, heavy, percent=20) != less


@pytest.mark.parametrize("percent", [10, None])
def test_explained_anew_it_is_drawn_anew(
    heavy: ClusterMap, storage: Storage, percent: float | None
) -> None:
    def drawn() -> bytes:
        if percent is None:
            return drawing.heated_picture(storage, heavy)
        return drawing.lit_picture(storage, heavy, percent=percent)

    before, key = drawn(), heavy.image.maps_key
    assert key is not None
    with np.load(storage.path(key)) as stored:
        turned = {name: array[::-1] for name, array in stored.items()}
    storage.put_with(key, lambda file: np.savez(file, **turned))
    heavy.image.computed_at = datetime.now(UTC)
    assert drawn() != before
