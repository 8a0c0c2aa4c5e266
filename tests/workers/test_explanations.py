"""The task that explains an image: done once, whatever happens on the way."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import numpy as np
import pytest
import redis
from sqlalchemy import func, select

from app.explain import explain_image as explain_directly
from app.explain.pictures import open_picture
from app.installation import Installation
from app.models import ClusterMap, Image, Layer, LayerExplanation
from app.services import computing, contrasts, explanations, networks, studies
from app.services.drawing import read_map, read_view
from workers.celery_app import celery_app
from workers.context import only_one
from workers.explanations import contrast, explain_image
from workers.upkeep import ask_again


def image_ids(inst: Installation, slug: str) -> list[UUID]:
    with inst.transaction() as session:
        return [image.id for image in studies.images(session, studies.get(session, slug))]


def stored(inst: Installation) -> Sequence[object]:
    """All that a run leaves behind, as values."""
    with inst.transaction() as session:
        return [
            *session.execute(
                select(
                    ClusterMap.id,
                    ClusterMap.rank,
                    ClusterMap.weight,
                    ClusterMap.effect,
                    ClusterMap.channels,
                ).order_by(ClusterMap.id)
            ),
            *session.execute(
                select(LayerExplanation.id, LayerExplanation.kept_weight).order_by(
                    LayerExplanation.id
                )
            ),
            *session.execute(select(Image.id, Image.status, Image.computed_at).order_by(Image.id)),
        ]


def queue_length(inst: Installation) -> int:
    with redis.Redis.from_url(inst.redis_url) as client:
        return int(client.llen("explanations"))


def test_an_explained_image_has_maps_weights_and_a_view(
    inst: Installation, drawn_study: str
) -> None:
    image_id = image_ids(inst, drawn_study)[0]
    explain_image(image_id=str(image_id))

    with inst.transaction() as session:
        image = session.get_one(Image, image_id)
        maps = session.scalars(select(ClusterMap).where(ClusterMap.image_id == image_id)).all()
    assert image.status == "done"
    assert image.target_name in ("boat", "house", "flower")
    assert 0 < (image.probability or 0) <= 1
    assert read_view(inst.storage, image).size == (512, 512)
    assert maps
    for found in maps:
        array = read_map(inst.storage, image, found.array_name)
        assert array.ndim == 2
        assert (array.min(), array.max()) == (0, 1)
        assert 0 < found.weight <= 100
        assert found.effect is not None
        assert found.channels


def test_the_stored_result_says_what_made_it(inst: Installation, drawn_study: str) -> None:
    image_id = image_ids(inst, drawn_study)[0]
    explain_image(image_id=str(image_id))
    with inst.transaction() as session:
        made_by = session.get_one(Image, image_id).made_by
    assert made_by is not None
    assert set(made_by) == {"layerplay", "torch", "torchvision", "network", "clusterer", "seed"}


def test_channel_weights_are_kept_for_every_layer(inst: Installation, drawn_study: str) -> None:
    image_id = image_ids(inst, drawn_study)[0]
    explain_image(image_id=str(image_id))
    with inst.transaction() as session:
        image = session.get_one(Image, image_id)
        for position in range(2):
            weights = read_map(inst.storage, image, f"layer{position}_weights")
            assert np.sum(weights) == pytest.approx(100)


def test_running_twice_leaves_the_same_rows(inst: Installation, drawn_study: str) -> None:
    image_id = image_ids(inst, drawn_study)[0]
    explain_image(image_id=str(image_id))
    before = stored(inst)
    explain_image(image_id=str(image_id))
    assert stored(inst) == before


def test_a_result_that_comes_second_changes_nothing(inst: Installation, drawn_study: str) -> None:
    """Two workers had the same picture at hand, one of them believed dead."""
    image_id = image_ids(inst, drawn_study)[0]
    with inst.transaction() as session:
        image = computing.pending_image(session, image_id)
        assert image is not None
    from workers.explanations import _network

    late = computing.compute(inst.storage, image, _network(image.study.network_id))
    explain_image(image_id=str(image_id))
    before = stored(inst)
    with inst.transaction() as session:
        computing.store(session, inst.storage, image_id=image_id, result=late)
    assert stored(inst) == before


def test_an_image_that_is_gone_is_no_error(inst: Installation) -> None:
    explain_image(image_id=str(uuid4()))


def test_an_image_that_another_worker_is_at_is_left_to_it(
    inst: Installation, drawn_study: str
) -> None:
    image_id = image_ids(inst, drawn_study)[0]
    with only_one(image_id) as mine:
        assert mine
        explain_image(image_id=str(image_id))
    with inst.transaction() as session:
        assert session.get_one(Image, image_id).status == "pending"


def test_a_picture_that_cannot_be_explained_is_named_and_the_game_opens_all_the_same(
    inst: Installation, drawn_study: str
) -> None:
    first, *others = image_ids(inst, drawn_study)
    with inst.transaction() as session:
        key = session.get_one(Image, first).original_key
    inst.storage.put(key, b"no picture any more")
    for image_id in (first, *others):
        explain_image(image_id=str(image_id))
    with inst.transaction() as session:
        study = studies.get(session, drawn_study)
        progress = studies.progress(session, study)
    assert study.status == "open"
    assert (progress.n_done, progress.n_failed) == (8, 1)
    assert "not a picture" in progress.failures[0].reason


def test_a_worker_killed_in_the_middle_costs_only_the_picture_at_hand(
    inst: Installation, drawn_study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = image_ids(inst, drawn_study)[:2]
    explain_image(image_id=str(first))
    with monkeypatch.context() as patch:
        patch.setattr(computing, "store", lambda *_, **__: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            explain_image(image_id=str(second))
    with inst.transaction() as session:
        assert session.get_one(Image, first).status == "done"
        assert session.get_one(Image, second).status == "pending"
    explain_image(image_id=str(second))
    with inst.transaction() as session:
        n_maps = select(func.count()).where(ClusterMap.image_id == second)
        assert session.get_one(Image, second).status == "done"
        assert session.scalar(n_maps)


def test_upkeep_asks_again_for_what_a_lost_queue_forgot(
    inst: Installation, drawn_study: str
) -> None:
    with redis.Redis.from_url(inst.redis_url) as client:
        client.flushdb()
    ask_again()
    assert queue_length(inst) == 9


def test_upkeep_is_asked_for_every_minute() -> None:
    scheduled = celery_app.conf.beat_schedule["upkeep"]
    assert (scheduled["task"], scheduled["schedule"]) == (ask_again.name, 60)


def test_upkeep_does_not_fill_a_queue_that_still_holds_jobs(
    inst: Installation, drawn_study: str
) -> None:
    assert queue_length(inst) == 9
    ask_again()
    assert queue_length(inst) == 9


def test_a_contrast_weighs_the_stored_maps_by_the_difference_of_two_logits(
    inst: Installation, drawn_study: str
) -> None:
    """Done once; the same numbers as the public door's, summed over each map's channels."""
    image_id = image_ids(inst, drawn_study)[0]
    explain_image(image_id=str(image_id))
    with inst.transaction() as session:
        image = explanations.get_image(session, image_id)
        (index, name), *_ = contrasts.choices(session, image)
        asked = contrasts.ask(session, image, other_index=index)
    ask_again()
    contrast(contrast_id=str(asked.id))
    contrast(contrast_id=str(asked.id))
    with inst.transaction() as session:
        done = contrasts.find(session, image_id, other_index=index)
        maps = session.execute(
            select(ClusterMap.id, ClusterMap.channels, Layer.name)
            .join(ClusterMap.layer)
            .where(ClusterMap.image_id == image_id)
        ).all()
        network = networks.load_registered(image.study.network, inst.storage)
    assert done is not None
    assert done.weights is not None
    found = explain_directly(
        network,
        open_picture(inst.storage.get(image.original_key)),
        target=image.target_index,
        contrast=name,
        layers=["features.10", "features.12"],
    )
    shares = {layer.name: layer.channel_weights for layer in found.layers}
    for one in maps:
        expected = shares[one.name][one.channels].sum()
        assert done.weights[str(one.id)] == pytest.approx(expected)
    assert done.difference is not None
    assert done.difference > 0, "it is set against a class that the network said less of"
