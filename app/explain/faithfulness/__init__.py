"""Is an explanation faithful: does it name what the network uses?

Beyond the paper, which asks people only. The protocols are in docs/algorithms/faithfulness.md.

    location    share of a map's energy inside known parts
    ablation    what the logit loses without a cluster's channels
    curves      insertion and deletion of pixels
    imputation  removal of pixels without a trace: ROAD
    cascade     the sanity check: maps of a network whose weights are randomised
    cams        Grad-CAM and its relatives, to compare with
    evaluation  all of these for a picture
    summary     tables with intervals over many pictures

Only `location` is imported with the package: it needs no torch.
"""

from app.explain.faithfulness.location import energy_shares, random_group_maps

__all__ = ["energy_shares", "random_group_maps"]
