import pytest

from app.concepts import Embedder, load_embedder


@pytest.fixture(scope="session")
def packaged_embedder() -> Embedder:
    return load_embedder()
