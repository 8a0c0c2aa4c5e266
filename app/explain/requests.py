"""What was asked for, in words that a later run compares, so that what was stopped goes on."""

import json
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.explain.networks import Network


def describe_request(network: Network, **options: Any) -> dict[str, Any]:
    """All that decides about results but the photos, as JSON knows it: this program, the network
    with its preprocessing, and options."""
    described = {
        "layerplay": version("layerplay"),
        "network": network.name,
        "weights_sha256": network.weights_sha256,
        "classes_sha256": sha256("\n".join(network.classes).encode()).hexdigest(),
        "resize": network.resize,
        "input_size": network.input_size,
        "mean": network.mean,
        "std": network.std,
        "interpolation": network.interpolation.value,
    }
    as_json: dict[str, Any] = json.loads(json.dumps(described | options, default=str))
    return as_json


def photo_sha256(path: Path) -> str:
    """Of a file's bytes; of none where it cannot be read, as whoever opens it will say."""
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return sha256().hexdigest()
