"""Why a network gave a picture its class: a picture and a network in, cluster maps out.

Pure functions of their arguments, after Bianchi et al. 2024, "Interpretable Network
Visualizations"; the rules are in docs/algorithms/explain.md.

The names are imported when they are first used: drawing maps needs no torch, and whoever only
draws, such as the web server, starts in a third of the time and a sixth of the memory.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.explain.batch import explain_images
    from app.explain.clusters import ClusterMap
    from app.explain.descriptions import NetworkError
    from app.explain.explaining import explain_image
    from app.explain.explanation import Explanation, LayerExplanation
    from app.explain.files import ExplainedFile, explain_files
    from app.explain.layers import LayerError, LayerPlace, list_layers
    from app.explain.maps import merge_maps
    from app.explain.networks import Network, load_network
    from app.explain.pictures import PictureError, open_picture
    from app.explain.prototypes import Prototype, find_prototypes
    from app.explain.render import heatmap, heatmap_overlay, masked_picture, reveal_mask
    from app.explain.report import report_html
    from app.explain.responses import LayerResponses, layer_responses
    from app.explain.rise import rank_correlation, rise_map
    from app.explain.sharpening import sharpen_map

__all__ = [
    "ClusterMap",
    "ExplainedFile",
    "Explanation",
    "LayerError",
    "LayerExplanation",
    "LayerPlace",
    "LayerResponses",
    "Network",
    "NetworkError",
    "PictureError",
    "Prototype",
    "explain_files",
    "explain_image",
    "explain_images",
    "find_prototypes",
    "heatmap",
    "heatmap_overlay",
    "layer_responses",
    "list_layers",
    "load_network",
    "masked_picture",
    "merge_maps",
    "open_picture",
    "rank_correlation",
    "report_html",
    "reveal_mask",
    "rise_map",
    "sharpen_map",
]

_MODULES = {
    "ExplainedFile": "files",
    "explain_files": "files",
    "explain_images": "batch",
    "ClusterMap": "clusters",
    "Explanation": "explanation",
    "LayerExplanation": "explanation",
    "explain_image": "explaining",
    "LayerError": "layers",
    "LayerPlace": "layers",
    "list_layers": "layers",
    "merge_maps": "maps",
    "Network": "networks",
    "NetworkError": "descriptions",
    "load_network": "networks",
    "PictureError": "pictures",
    "open_picture": "pictures",
    "heatmap": "render",
    "heatmap_overlay": "render",
    "masked_picture": "render",
    "reveal_mask": "render",
    "report_html": "report",
    "Prototype": "prototypes",
    "find_prototypes": "prototypes",
    "LayerResponses": "responses",
    "layer_responses": "responses",
    "rank_correlation": "rise",
    "rise_map": "rise",
    "sharpen_map": "sharpening",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
