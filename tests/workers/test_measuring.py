"""Measuring a class with its network: the picture book's biased one, and words that are true."""

from pathlib import Path

import numpy as np
import pytest
import redis
from sqlalchemy import func, select

from app.infra.storage import Storage
from app.installation import Installation, create_from_folder
from app.models import (
    ClassMeasurement,
    ClusterMap,
    Concept,
    ConceptBelonging,
    ConceptHiding,
    ConceptScore,
    ConceptTest,
    Image,
    MapPrototype,
    StudyClass,
)
from app.picturebook.datasets import demo_recipes
from app.picturebook.files import true_scene, write_pictures
from app.picturebook.networks import BIASED_NETWORK, EXPLAINED_LAYERS
from app.picturebook.truth import region_shares
from app.services import global_explanations, studies
from app.services.drawing import read_map
from workers.explanations import explain_image, measure_class
from workers.upkeep import ask_again


@pytest.fixture
def boats(inst: Installation, tmp_path: Path) -> int:
    """The class of three sailboats on water, of a study with three windmills, computed. Each map's
    one concept is the region that it lies on most."""
    of_class = {
        name: [r for r in demo_recipes() if r.class_name == name][:3]
        for name in ("sailboat", "windmill")
    }
    list(write_pictures([r for found in of_class.values() for r in found], tmp_path / "pictures"))
    create_from_folder(
        inst,
        name="Boats",
        photos=tmp_path / "pictures",
        network=str(BIASED_NETWORK),
        layers=EXPLAINED_LAYERS[-2:],
        on_message=lambda _: None,
    )
    with inst.transaction() as session:
        ids = [image.id for image in studies.images(session, studies.get(session, "boats"))]
    for image_id in ids:
        explain_image(image_id=str(image_id))
    with inst.transaction() as session:
        concepts: dict[tuple[int, str], Concept] = {}
        for one in session.scalars(select(ClusterMap)).all():
            image = session.get_one(Image, one.image_id)
            region = true_region(inst.storage, image, one)
            key = image.class_id, region
            if key not in concepts:
                concepts[key] = Concept(class_id=image.class_id, name=region)
                session.add(concepts[key])
                session.flush()
            one.n_finished = 1
            session.add(
                ConceptScore(
                    cluster_map_id=one.id,
                    concept_id=concepts[key].id,
                    n_given=1,
                    mean_reveal_index=0,
                    any_right=True,
                    score=1.0,
                )
            )
        class_id = session.scalars(select(StudyClass.id).where(StudyClass.name == "sailboat")).one()
        global_explanations.ask_to_measure(session, class_id=class_id, simulated=False)
    return class_id


def true_region(storage: Storage, image: Image, cluster_map: ClusterMap) -> str:
    scene = true_scene(storage.get(image.original_key))
    assert scene is not None
    return next(
        iter(region_shares(read_map(storage, image, cluster_map.array_name), scene.region_map))
    )


def stored(inst: Installation) -> list[tuple[object, ...]]:
    with inst.transaction() as session:
        return [
            tuple(row)
            for query in (
                select(ConceptHiding.concept_id, ConceptHiding.difference).order_by(
                    ConceptHiding.concept_id
                ),
                select(ConceptTest.concept_id, ConceptTest.layer_id, ConceptTest.n_examples),
                select(ConceptBelonging.concept_id, ConceptBelonging.is_foreign),
                select(MapPrototype.cluster_map_id, MapPrototype.rank, MapPrototype.image_id),
            )
            for row in sorted(session.execute(query), key=str)
        ]


def test_water_is_no_part_of_a_sailboat_hiding_it_matters_and_measuring_again_changes_nothing(
    inst: Installation, boats: int
) -> None:
    measure_class(class_id=boats, simulated=False)

    with inst.transaction() as session:
        page = global_explanations.of_class(session, boats)
        assert page.measurement is not None
        assert page.measurement.status == "done", page.measurement.failure
        (water,) = page.suspects
        assert water.name == "water"
        assert water.verdict == "used"
        assert water.hiding is not None
        assert water.hiding.n_pictures == 3
        assert water.hiding.probability > 0.8
        assert water.hiding.hidden_probability < 0.2
        assert water.hiding.elsewhere_probability > 0.7
        assert water.hiding.n_changed == 3
        # Two examples in a layer are no reason to speak of significance.
        assert all(test.score is None for test in water.tests.values())

    assert_drivers_are_other_pictures(inst, boats)
    before = stored(inst)
    with inst.transaction() as session:
        made_at = session.get_one(ClassMeasurement, (boats, False)).made_at
    measure_class(class_id=boats, simulated=False)  # Nobody has asked for it again.
    with inst.transaction() as session:
        assert session.get_one(ClassMeasurement, (boats, False)).made_at == made_at
        global_explanations.ask_to_measure(session, class_id=boats, simulated=False)
    measure_class(class_id=boats, simulated=False)
    assert stored(inst) == before


def assert_drivers_are_other_pictures(inst: Installation, class_id: int) -> None:
    with inst.transaction() as session:
        rows = session.execute(
            select(ClusterMap.id, ClusterMap.image_id, MapPrototype.image_id, MapPrototype.peak)
            .join(MapPrototype, MapPrototype.cluster_map_id == ClusterMap.id)
            .order_by(ClusterMap.id, MapPrototype.rank)
        ).all()
        n_maps = session.scalar(
            select(func.count())
            .select_from(ClusterMap)
            .join(ClusterMap.image)
            .where(Image.class_id == class_id)
        )
    by_map: dict[object, list[float]] = {}
    for map_id, own, other, peak in rows:
        assert own != other
        by_map.setdefault(map_id, []).append(peak)
    assert len(by_map) == n_maps
    assert all(np.all(np.diff(peaks) <= 0) for peaks in by_map.values())


def ask(inst: Installation, slug: str) -> int:
    """Ask for the first class of a study to be measured."""
    with inst.transaction() as session:
        class_id = studies.get(session, slug).classes[0].id
        global_explanations.ask_to_measure(session, class_id=class_id, simulated=False)
    return class_id


def test_a_class_that_cannot_be_measured_says_why(inst: Installation, drawn_study: str) -> None:
    class_id = ask(inst, drawn_study)
    measure_class(class_id=class_id, simulated=False)
    with inst.transaction() as session:
        measurement = session.get_one(ClassMeasurement, (class_id, False))
    assert measurement.status == "failed"
    assert measurement.failure == "None of the class's pictures is computed yet."


def test_what_was_asked_for_and_lost_is_asked_for_again(
    inst: Installation, drawn_study: str
) -> None:
    ask(inst, drawn_study)
    with redis.Redis.from_url(inst.redis_url) as client:
        client.flushdb()
        ask_again()
        waiting = [item for item in client.lrange("explanations", 0, -1) if b"measure" in item]
    assert len(waiting) == 1
