"""Each text is embedded once for each model."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import Embedding
from app.services.embeddings import KeptEmbedder


class Counting:
    """Embeds by length, and remembers what it was asked."""

    def __init__(self, name: str = "by length") -> None:
        self.name = name
        self.asked: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        self.asked.append(list(texts))
        return np.array([[len(text), 1 / 3] for text in texts])


def test_only_new_texts_are_embedded(session: Session) -> None:
    first, second = Counting(), Counting()
    kept = KeptEmbedder(session, first)
    rows = kept(["wheel", "ear", "wheel"])
    kept(["ear", "tail"])
    kept.keep()
    assert first.asked == [["ear", "wheel"], ["tail"]]
    again = KeptEmbedder(session, second)(["wheel", "ear", "wheel"])
    assert second.asked == []
    assert np.array_equal(rows, again)
    assert rows[:, 0].tolist() == [5, 3, 5]


def test_another_model_has_its_own(session: Session) -> None:
    for name in ("one", "other"):
        model = Counting(name)
        kept = KeptEmbedder(session, model)
        kept(["wheel"])
        kept.keep()
        assert model.asked == [["wheel"]]
    assert session.scalar(select(func.count()).select_from(Embedding)) == 2


def test_what_another_job_has_kept_meanwhile_is_no_error(session: Session) -> None:
    one, other = KeptEmbedder(session, Counting()), KeptEmbedder(session, Counting())
    one(["wheel"])
    other(["wheel"])
    one.keep()
    other.keep()
    assert session.scalar(select(func.count()).select_from(Embedding)) == 1
