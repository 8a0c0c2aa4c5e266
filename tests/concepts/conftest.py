from collections.abc import Iterator

import pytest
import torch

from app.concepts import Embedder, load_embedder


@pytest.fixture(scope="session")
def packaged_embedder() -> Iterator[Embedder]:
    # Labels are short: more threads gain little, and on a busy machine wait for each other.
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield load_embedder()
    torch.set_num_threads(n_threads)
