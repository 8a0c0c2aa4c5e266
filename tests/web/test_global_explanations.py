"""The pages of a class, its concepts, the network, two classes side by side."""

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.infra.storage import Storage
from app.models import (
    ClassMeasurement,
    Concept,
    ConceptBelonging,
    ConceptHiding,
    ConceptScore,
    Study,
)
from tests.factories import make_image, make_study, maps_of, spot_map
from tests.web.conftest import Sent
from tests.web.reading import is_sent_to_sign_in, text_of
from tests.web.test_explanations import _lost_round


@dataclass
class Boats:
    """Two pictures of boats, played: "water" in both layers of both, "sail" in one map."""

    study: Study
    class_id: int
    water: Concept
    sail: Concept
    base: str


@pytest.fixture
def boats(session: Session, storage: Storage, study: Study) -> Boats:
    class_id = study.classes[0].id
    water, sail = (Concept(class_id=class_id, name=name) for name in ("water", "sail"))
    session.add_all([water, sail])
    session.flush()
    for number in range(2):
        image = make_image(
            session,
            storage,
            study,
            maps={"layer3": [(60.0, spot_map())], "layer4": [(40.0, spot_map(x=0.3))]},
        )
        first, second = maps_of(session, image)
        given = [(first, water, 3.0), (second, water, 1.0)]
        if number == 0:
            given.append((first, sail, 1.0))
        for cluster_map, concept, score in given:
            session.add(
                ConceptScore(
                    cluster_map_id=cluster_map.id,
                    concept_id=concept.id,
                    n_given=3,
                    mean_reveal_index=1.0,
                    any_right=True,
                    score=score,
                )
            )
        for cluster_map in (first, second):
            cluster_map.n_finished = 1
            session.add(_lost_round(session, study, cluster_map, reveal_index=1))
    session.commit()
    return Boats(study, class_id, water, sail, f"/studio/{study.slug}/classes/{class_id}")


def foreign_and_used(session: Session, boats: Boats, *, low: float | None = 0.5) -> None:
    session.add(
        ClassMeasurement(
            class_id=boats.class_id,
            simulated=False,
            status="done",
            asked_at=datetime.now(UTC),
            made_at=datetime.now(UTC),
        )
    )
    session.add(
        ConceptBelonging(
            concept_id=boats.water.id,
            own="boat",
            own_similarity=0.4,
            surrounding="water",
            surrounding_similarity=1.0,
            is_foreign=True,
        )
    )
    session.add(
        ConceptHiding(
            concept_id=boats.water.id,
            n_pictures=2,
            area=0.3,
            probability=0.97,
            hidden_probability=0.02,
            elsewhere_probability=0.95,
            drop=0.95,
            drop_low=low,
            drop_high=1.0,
            difference=0.93,
            difference_low=low,
            difference_high=1.0,
            n_changed=2,
        )
    )
    session.commit()


def test_a_class_names_its_concepts_with_their_share_of_the_evidence(
    researcher: TestClient, boats: Boats
) -> None:
    """Water has 75 % and 100 % of layer 3, all of layer 4: 93.75 % on the whole."""
    said = text_of(researcher.get(boats.base).text)
    assert "most of its evidence in what players call water : 93.8 %" in said
    assert "4 of 4 cluster maps played." in said


def test_every_number_opens_the_pictures_behind_it(researcher: TestClient, boats: Boats) -> None:
    page = researcher.get(boats.base).text
    address = f"/studio/{boats.study.slug}/concepts/{boats.water.id}?layer=1"
    assert f'href="{address}"' in page
    behind = researcher.get(address).text
    assert "2 cluster maps of boat" in text_of(behind)
    assert behind.count('class="mapcard__picture"') == 2
    everywhere = researcher.get(address.partition("?")[0]).text
    assert everywhere.count('class="mapcard__picture"') == 4


def test_what_is_not_computed_is_said_to_be_so(researcher: TestClient, boats: Boats) -> None:
    said = text_of(researcher.get(boats.base).text)
    assert "Not computed yet: which concepts are no part of “boat”" in said
    assert said.count("not computed yet") == 2  # the TCAV of two concepts


def test_a_class_without_words_says_so(researcher: TestClient, boats: Boats) -> None:
    kites = boats.study.classes[1].id
    said = text_of(researcher.get(f"/studio/{boats.study.slug}/classes/{kites}").text)
    assert "Nobody has put the pictures of kite into words yet." in said


def test_the_bias_report_names_what_is_no_part_and_is_used(
    researcher: TestClient, session: Session, boats: Boats
) -> None:
    foreign_and_used(session, boats)
    said = text_of(researcher.get(boats.base).text)
    assert "Beware: water is no part of it, and the network leans on it." in said
    assert "The network uses it." in said
    assert "93 percentage points more than hiding as much elsewhere" in said
    assert "interval 50 to 100" in said
    assert "Answer changed 2 of 2" in said


def test_an_interval_that_reaches_0_claims_nothing(
    researcher: TestClient, session: Session, boats: Boats
) -> None:
    foreign_and_used(session, boats, low=-0.1)
    said = text_of(researcher.get(boats.base).text)
    assert "Beware" not in said
    assert "Whether the network uses it the measurement leaves open." in said


def test_a_researchers_word_counts_before_meaning(
    researcher: TestClient, session: Session, boats: Boats
) -> None:
    foreign_and_used(session, boats)
    address = f"/studio/{boats.study.slug}/concepts/{boats.water.id}"
    answer = researcher.post(f"{address}/mark", data={"part": "yes"})
    assert answer.headers["location"] == address
    assert "No concept that is no part of “boat”" in text_of(researcher.get(boats.base).text)
    researcher.post(f"{address}/mark", data={"part": "no"})
    assert "A researcher marked it as no part" in text_of(researcher.get(boats.base).text)
    researcher.post(f"{address}/mark", data={"part": "unsaid"})
    assert session.get_one(Concept, boats.water.id, populate_existing=True).is_part is None


def test_a_mark_that_means_nothing_is_refused(researcher: TestClient, boats: Boats) -> None:
    address = f"/studio/{boats.study.slug}/concepts/{boats.water.id}/mark"
    assert researcher.post(address, data={"part": "perhaps"}).status_code == 422


def test_measuring_is_asked_for_once_it_is_stored(
    researcher: TestClient, session: Session, boats: Boats, sent: Sent
) -> None:
    answer = researcher.post(f"{boats.base}/measure", data={"players": "people"})
    assert answer.headers["location"] == f"{boats.base}?players=people"
    (job,) = sent.jobs
    assert (job.name, job.arguments) == (
        "explanations.measure_class",
        {"class_id": boats.class_id, "simulated": False},
    )
    assert session.get_one(ClassMeasurement, (boats.class_id, False)).status == "pending"
    assert "A worker is measuring" in text_of(researcher.get(boats.base).text)


def test_the_data_hold_every_number_of_the_page(researcher: TestClient, boats: Boats) -> None:
    answer = researcher.get(f"{boats.base}/data.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert [(row["concept"], row["layer"], row["evidence_percent"]) for row in rows] == [
        ("water", "1", "87.5"),
        ("water", "2", "100.0"),
        ("sail", "1", "12.5"),
        ("sail", "2", "0.0"),
    ]
    content = json.loads(researcher.get(f"{boats.base}/data.json").text)
    assert content["class"] == "boat"
    assert [c["concept"] for c in content["concepts"]] == ["water", "sail"]
    assert content["concepts"][0]["layers"][0]["mean_score"] == 3.0


def test_a_word_that_a_spreadsheet_would_run_is_only_text_in_the_data(
    researcher: TestClient, session: Session, boats: Boats
) -> None:
    boats.water.name = "=1+1"
    session.commit()
    assert "'=1+1,1," in researcher.get(f"{boats.base}/data.csv").text


def test_the_network_page_shows_words_that_classes_share(
    researcher: TestClient, session: Session, storage: Storage, boats: Boats
) -> None:
    kite = make_image(session, storage, boats.study, class_name="kite")
    (first, _) = maps_of(session, kite)
    first.n_finished = 1
    water = Concept(class_id=boats.study.classes[1].id, name="water")
    session.add_all([water, _lost_round(session, boats.study, first, reveal_index=0)])
    session.flush()
    session.add(
        ConceptScore(
            cluster_map_id=first.id,
            concept_id=water.id,
            n_given=1,
            mean_reveal_index=0,
            any_right=True,
            score=1.0,
        )
    )
    session.commit()
    said = text_of(researcher.get(f"/studio/{boats.study.slug}/network").text)
    assert "Words that classes share" in said
    assert "water 93.8 100.0" in said
    assert "sail 6.2" not in said.partition("Words that classes share")[2]
    data = researcher.get(f"/studio/{boats.study.slug}/network/data.csv").text
    assert data.splitlines() == ["word,boat,kite", "water,93.75,100.0"]
    content = researcher.get(f"/studio/{boats.study.slug}/network/data.json").json()
    assert content["shared_words"] == [
        {"word": "water", "evidence_percent": {"boat": 93.75, "kite": 100.0}}
    ]
    assert [one["class"] for one in content["classes"]] == ["boat", "kite"]


def test_two_classes_stand_side_by_side_word_by_word(
    researcher: TestClient, session: Session, boats: Boats
) -> None:
    other = make_study(session, name="Other network")
    session.commit()
    left, right = boats.class_id, other.classes[0].id
    said = text_of(researcher.get(f"/compare?left={left}&right={right}").text)
    assert "Boats and kites" in said
    assert "Other network" in said
    assert "water 93.8 –" in said
    query = f"left={left}&right={right}"
    rows = researcher.get(f"/compare/data.csv?{query}").text.splitlines()
    assert rows == [
        "word,boat (Boats and kites),boat (Other network)",
        "water,93.75,",
        "sail,6.25,",
    ]
    content = researcher.get(f"/compare/data.json?{query}").json()
    assert [one["concept"] for one in content["left"]["concepts"]] == ["water", "sail"]
    assert content["right"]["concepts"] == []


@pytest.mark.parametrize("address", ["/compare?left=1&right=99999999", "/compare?left=99999999"])
def test_comparing_what_does_not_exist_is_a_404(
    researcher: TestClient, boats: Boats, address: str
) -> None:
    assert researcher.get(address).status_code == 404


@pytest.mark.parametrize("path", ["classes/0", "concepts/0", "classes/x"])
def test_what_does_not_exist_is_a_404(researcher: TestClient, boats: Boats, path: str) -> None:
    assert researcher.get(f"/studio/{boats.study.slug}/{path}").status_code in (404, 422)


def test_a_class_of_another_study_is_not_found_here(
    researcher: TestClient, session: Session, boats: Boats
) -> None:
    other = make_study(session, name="Other")
    session.commit()
    assert researcher.get(f"/studio/{other.slug}/classes/{boats.class_id}").status_code == 404
    assert researcher.get(f"/studio/{other.slug}/concepts/{boats.sail.id}").status_code == 404


def test_strangers_see_none_of_it(client: TestClient, boats: Boats) -> None:
    slug = boats.study.slug
    for path in (
        *(boats.base, f"{boats.base}/data.csv", f"{boats.base}/data.json"),
        *(f"/studio/{slug}/concepts/{boats.sail.id}", f"/studio/{slug}/network", "/compare"),
    ):
        assert is_sent_to_sign_in(client.get(path))
    assert is_sent_to_sign_in(client.post(f"{boats.base}/measure", data={"players": "people"}))


def test_simulated_players_words_never_count_among_peoples(
    researcher: TestClient, session: Session, boats: Boats
) -> None:
    boats.sail.simulated = True
    session.commit()
    assert "sail" not in text_of(researcher.get(f"{boats.base}?players=people").text)
