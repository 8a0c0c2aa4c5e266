"""Embeddings kept in the database: each text is embedded once for each model, by whichever job
meets it first.

In PostgreSQL rather than in storage: all workers share it, a job looks up thousands of texts in one
query, and what a job adds is there or not there with the rest of its transaction.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.concepts import Embedder
from app.models import Embedding

_BATCH: Final = 5000
_STORED: Final = np.dtype("<f4")


class KeptEmbedder:
    """An embedder that asks the database first, and the model for the rest. `keep` stores what was
    new."""

    def __init__(self, session: Session, embed: Embedder) -> None:
        self._session, self._embed = session, embed
        self._new: dict[str, NDArray[np.float32]] = {}

    @property
    def name(self) -> str:
        return self._embed.name

    def __call__(self, texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        distinct = sorted(set(texts))
        known = self._read(distinct) | self._new
        new = [text for text in distinct if text not in known]
        if new:
            # As stored, so that the first run sees what every later one will.
            self._new |= dict(zip(new, np.asarray(self._embed(new), dtype=_STORED), strict=True))
            known |= self._new
        return np.array([known[text] for text in texts], dtype=np.float64)

    def keep(self) -> None:
        """Store what was new, at once and in order: two jobs with the same new texts then wait for
        each other briefly, and never in a circle."""
        new = sorted(self._new)
        for start in range(0, len(new), _BATCH):
            rows = [
                {"model": self.name, "text": text, "vector": self._new[text].tobytes()}
                for text in new[start : start + _BATCH]
            ]
            self._session.execute(insert(Embedding).values(rows).on_conflict_do_nothing())

    def _read(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        found: dict[str, NDArray[np.float32]] = {}
        for start in range(0, len(texts), _BATCH):
            some = texts[start : start + _BATCH]
            rows = self._session.execute(
                select(Embedding.text, Embedding.vector).where(
                    Embedding.model == self.name, Embedding.text.in_(some)
                )
            )
            found |= {row.text: np.frombuffer(row.vector, dtype=_STORED) for row in rows}
        return found
