"""Why a network gave a picture its class: a picture and a network in, cluster maps out.

Pure functions of their arguments, after Bianchi et al. 2024, "Interpretable Network
Visualizations"; the rules are in docs/algorithms/explain.md.
"""

from app.explain.batch import ExplainedFile, explain_files
from app.explain.clusters import ClusterMap, merge_maps
from app.explain.explanation import Explanation, LayerExplanation, explain_image
from app.explain.layers import LayerError, LayerPlace, list_layers
from app.explain.networks import Network, NetworkError, load_network
from app.explain.pictures import PictureError, open_picture
from app.explain.render import (
    heatmap,
    heatmap_overlay,
    masked_picture,
    report_html,
    reveal_mask,
)

__all__ = [
    "ClusterMap",
    "ExplainedFile",
    "Explanation",
    "LayerError",
    "LayerExplanation",
    "LayerPlace",
    "Network",
    "NetworkError",
    "PictureError",
    "explain_files",
    "explain_image",
    "heatmap",
    "heatmap_overlay",
    "list_layers",
    "load_network",
    "masked_picture",
    "merge_maps",
    "open_picture",
    "report_html",
    "reveal_mask",
]
