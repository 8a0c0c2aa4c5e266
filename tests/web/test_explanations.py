"""The local explanation page."""

import csv
import json
import re
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.infra.errors import InvalidInputError
from app.infra.storage import Storage
from app.models import (
    ClusterMap,
    Concept,
    ConceptScore,
    Image,
    MapPrototype,
    Player,
    Round,
    Study,
)
from app.services import contrasts, labels, players, rounds
from tests.factories import make_image, make_player, maps_of, spot_map
from tests.services.test_labels import EMBED
from tests.web.conftest import Sent
from tests.web.reading import text_of


@pytest.fixture
def maps(session: Session, storage: Storage, study: Study) -> list[ClusterMap]:
    """One picture's cluster maps: one in the first layer; in the second two that share "sail"."""
    image = make_image(
        session,
        storage,
        study,
        maps={
            "layer3": [(50.0, spot_map())],
            "layer4": [(40.0, spot_map(x=0.3)), (20.0, spot_map(x=0.7))],
        },
    )
    maps = maps_of(session, image)
    concepts = {name: Concept(class_id=image.class_id, name=name) for name in ("sail", "sea")}
    session.add_all(concepts.values())
    session.flush()
    for cluster_map, name, score in ((maps[1], "sail", 2.7), (maps[2], "sail", 1.0)):
        session.add(_score(cluster_map, concepts[name], score))
    session.add(_score(maps[1], concepts["sea"], 0.25))
    session.add(_lost_round(session, study, maps[1], reveal_index=2))
    session.commit()
    return maps


def _score(cluster_map: ClusterMap, concept: Concept, score: float) -> ConceptScore:
    return ConceptScore(
        cluster_map_id=cluster_map.id,
        concept_id=concept.id,
        n_given=3,
        mean_reveal_index=1.0,
        any_right=True,
        score=score,
    )


def _lost_round(
    session: Session, study: Study, cluster_map: ClusterMap, *, reveal_index: int
) -> Round:
    return Round(
        study_id=study.id,
        cluster_map_id=cluster_map.id,
        player_id=make_player(session).id,
        status="lost",
        guessed_class_id=study.classes[1].id,
        reveal_index=reveal_index,
        finished_at=datetime.now(UTC),
    )


def test_layers_stand_in_order_with_their_maps_by_weight(
    researcher: TestClient, maps: list[ClusterMap]
) -> None:
    page = researcher.get(f"/explanations/{maps[0].image_id}").text
    places = [page.index('id="layer-1"'), page.index(f'id="map-{maps[0].id}"')]
    places += [page.index('id="layer-2"')]
    places += [page.index(f'id="map-{m.id}"') for m in maps[1:]]
    assert places == sorted(places)


def test_a_map_shows_weight_feature_maps_concepts_and_its_game_record(
    researcher: TestClient, maps: list[ClusterMap]
) -> None:
    page = researcher.get(f"/explanations/{maps[0].image_id}").text
    said = text_of(page)
    assert "Weight in the layer 40 %" in said
    assert "3 feature maps of 512" in said
    assert "sail 2.7 sea 0.2" in said
    assert "Right guesses 0 Given up 0 Wrong guesses 1" in said
    assert f"/maps/{maps[1].id}/region-2.jpg" in page
    assert "8 % of the picture" in said
    assert "Nobody has played this spot yet." in said


def test_a_map_shows_what_the_answer_would_lose_without_it(
    researcher: TestClient, session: Session, maps: list[ClusterMap]
) -> None:
    maps[0].effect = -0.5
    session.commit()
    page = f"/explanations/{maps[0].image_id}"
    said = text_of(researcher.get(page).text)
    assert re.findall("Effect on the answer ([^ ]+)", said) == ["\u22120.50", "+4.00", "+2.00"]
    joined = text_of(researcher.get(f"{page}?merge=labels").text)
    assert re.findall("Effect on the answer ([^ ]+)", joined) == ["\u22120.50", "+6.00"]
    rows = list(csv.DictReader(researcher.get(f"{page}/data.csv").text.splitlines()))
    assert [row["effect"] for row in rows] == ["-0.5", "4.0", "4.0", "2.0"]


def test_of_maps_computed_before_effects_were_kept_none_is_shown(
    researcher: TestClient, session: Session, maps: list[ClusterMap]
) -> None:
    maps[1].effect = None
    session.commit()
    page = f"/explanations/{maps[0].image_id}"
    assert text_of(researcher.get(page).text).count("Effect on the answer") == 2
    # Of one of two that are joined it is not known, so of both together neither.
    assert text_of(researcher.get(f"{page}?merge=labels").text).count("Effect on the answer") == 1


def test_merging_by_label_joins_maps_that_share_a_best_concept(
    researcher: TestClient, maps: list[ClusterMap]
) -> None:
    page = researcher.get(f"/explanations/{maps[0].image_id}?merge=labels").text
    assert page.count("<article") == 2
    assert "Weight in the layer 60 %" in text_of(page)
    assert "2 cluster maps joined" in text_of(page)


def test_full_merge_shows_each_layer_as_one_map(
    researcher: TestClient, maps: list[ClusterMap]
) -> None:
    page = researcher.get(f"/explanations/{maps[0].image_id}?merge=all").text
    assert page.count("<article") == 2
    assert f"/maps/{maps[1].id},{maps[2].id}.jpg" in page


def test_the_river_has_a_block_for_each_map_that_leads_to_its_details(
    researcher: TestClient, maps: list[ClusterMap]
) -> None:
    page = researcher.get(f"/explanations/{maps[0].image_id}").text
    assert re.findall(r'<a class="river__block" href="#map-([^"]*)"', page) == [
        str(m.id) for m in maps
    ]
    assert "style=" not in page


def test_the_summary_says_only_what_players_agree_on(
    researcher: TestClient, maps: list[ClusterMap]
) -> None:
    """Layer 2: "sail" has 40 × 2.7 / 2.95 + 20 of 60, which is 94 %; layer 1 has no words."""
    said = text_of(researcher.get(f"/explanations/{maps[0].image_id}").text)
    assert "In layer 1 no word that players agree on led." in said
    assert "94 % of the evidence was sail" in said, said[300:900]


def test_what_one_player_said_once_is_in_no_summary(
    researcher: TestClient, session: Session, maps: list[ClusterMap]
) -> None:
    for score in session.scalars(select(ConceptScore)):
        score.n_given = 1
    session.commit()
    said = text_of(researcher.get(f"/explanations/{maps[0].image_id}").text)
    assert "No word that two players agree on carries a quarter" in said
    assert "of the evidence was" not in said


def test_the_summary_warns_of_what_is_no_part_of_the_class(
    researcher: TestClient, session: Session, maps: list[ClusterMap]
) -> None:
    sail = session.scalars(select(Concept).where(Concept.name == "sail")).one()
    sail.is_part = False
    session.commit()
    said = text_of(researcher.get(f"/explanations/{maps[0].image_id}").text)
    assert "Sail is no part of “boat” : see what the network does without it" in said


def test_opened_a_map_says_who_agreed_and_what_else_drives_its_channels(
    researcher: TestClient, session: Session, maps: list[ClusterMap], image: Image
) -> None:
    session.add(MapPrototype(cluster_map_id=maps[1].id, image_id=image.id, rank=0, peak=87.4))
    session.commit()
    page = researcher.get(f"/explanations/{maps[0].image_id}").text
    assert "sail 2.70 3 of 1" in text_of(page)
    assert f'<a href="/explanations/{image.id}"' in page
    assert "87 %" in text_of(page)
    assert text_of(page).count("Not computed yet: measuring the class finds them.") == 2


def test_the_data_hold_every_concept_of_every_map(
    researcher: TestClient, maps: list[ClusterMap]
) -> None:
    base = f"/explanations/{maps[0].image_id}"
    rows = list(csv.DictReader(researcher.get(f"{base}/data.csv").text.splitlines()))
    assert [(r["layer"], r["map"], r["concept"], r["score"]) for r in rows] == [
        ("1", "1", "", ""),
        ("2", "1", "sail", "2.7"),
        ("2", "1", "sea", "0.25"),
        ("2", "2", "sail", "1.0"),
    ]
    content = json.loads(researcher.get(f"{base}/data.json?merge=all").text)
    assert [len(layer["groups"]) for layer in content["layers"]] == [1, 1]
    assert content["layers"][1]["groups"][0]["weight"] == 60.0


def test_a_layer_without_evidence_says_so(
    researcher: TestClient, session: Session, storage: Storage, study: Study
) -> None:
    image = make_image(session, storage, study, maps={"layer4": [(50.0, spot_map())]})
    session.commit()
    said = text_of(researcher.get(f"/explanations/{image.id}").text)
    assert "Nothing in this layer spoke for “boat”" in said


def test_heat_maps_and_regions_are_drawn_alone_and_joined(
    researcher: TestClient, maps: list[ClusterMap]
) -> None:
    base = f"/explanations/{maps[0].image_id}/maps"
    drawn = set()
    for name in (
        f"{maps[1].id}.jpg",
        f"{maps[2].id}.jpg",
        f"{maps[1].id},{maps[2].id}.jpg",
        f"{maps[1].id}/region-0.jpg",
        f"{maps[1].id}/region-5.jpg",
    ):
        answer = researcher.get(f"{base}/{name}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert "immutable" in answer.headers["cache-control"]
        drawn.add(answer.content)
    assert len(drawn) == 5


@pytest.mark.parametrize(
    "name", ["{other}.jpg", "{own}/region-6.jpg", "x.jpg", "{own},{first}.jpg", "{own},.jpg"]
)
def test_maps_of_other_pictures_other_layers_and_other_steps_do_not_exist(
    researcher: TestClient, image: Image, session: Session, maps: list[ClusterMap], name: str
) -> None:
    other = maps_of(session, image)[0]
    path = name.format(other=other.id, own=maps[1].id, first=maps[0].id)
    answer = researcher.get(f"/explanations/{maps[0].image_id}/maps/{path}")
    assert answer.status_code == 404


def test_a_picture_that_does_not_exist_is_a_404(researcher: TestClient) -> None:
    assert researcher.get(f"/explanations/{uuid4()}").status_code == 404
    assert researcher.get("/explanations/x").status_code == 404


def test_an_unknown_way_of_merging_is_refused(
    researcher: TestClient, maps: list[ClusterMap]
) -> None:
    answer = researcher.get(f"/explanations/{maps[0].image_id}?merge=some")
    assert answer.status_code == 422
    assert "merge" in text_of(answer.text)


class TestWhoseWords:
    """A picture of a boat. People call its heavy map "sail", simulated players "cloth"."""

    @staticmethod
    def play(session: Session, study: Study, image: Image, player: Player, label: str) -> None:
        round_ = rounds.deal(session, player=player, study=study)
        assert round_ is not None
        boat = image.class_id
        rounds.guess(session, round_id=round_.id, player=player, class_id=boat, labels=[label])
        labels.group_class(
            session, class_id=boat, embed=EMBED, recipe="paper", simulated=player.is_simulated
        )
        session.commit()

    @pytest.fixture
    def by_people(self, session: Session, study: Study, image: Image) -> None:
        self.play(session, study, image, make_player(session), "sail")

    @pytest.fixture
    def by_simulated(self, session: Session, study: Study, image: Image) -> None:
        self.play(session, study, image, players.create_simulated(session), "cloth")

    @pytest.mark.usefixtures("by_people", "by_simulated")
    def test_peoples_are_shown_first_with_a_link_to_the_others(
        self, researcher: TestClient, image: Image
    ) -> None:
        page = researcher.get(f"/explanations/{image.id}").text
        assert "sail 1.0" in text_of(page)
        assert "cloth" not in page
        assert f'href="/explanations/{image.id}?players=simulated"' in page
        assert "These words come from people." in text_of(page)

    @pytest.mark.usefixtures("by_people", "by_simulated")
    def test_simulated_players_words_are_shown_on_wish_and_marked(
        self, researcher: TestClient, image: Image
    ) -> None:
        page = researcher.get(f"/explanations/{image.id}?players=simulated").text
        assert "cloth 1.0" in text_of(page)
        assert "sail" not in page
        assert "These words come from simulated players" in text_of(page)
        assert f'href="/explanations/{image.id}?players=people"' in page

    @pytest.mark.usefixtures("by_simulated")
    def test_where_only_simulated_players_have_typed_theirs_are_shown_with_a_notice(
        self, researcher: TestClient, image: Image
    ) -> None:
        page = researcher.get(f"/explanations/{image.id}").text
        assert "cloth 1.0" in text_of(page)
        assert "These words come from simulated players" in text_of(page)
        assert "People have typed no words for “boat” yet." in text_of(page)
        assert "players=people" not in page

    @pytest.mark.usefixtures("by_people")
    def test_where_only_people_have_typed_nothing_is_said_of_simulated_players(
        self, researcher: TestClient, image: Image
    ) -> None:
        page = researcher.get(f"/explanations/{image.id}").text
        assert "imulated" not in page
        assert "players=" not in page

    @pytest.mark.usefixtures("by_people", "by_simulated")
    def test_each_link_keeps_what_the_others_chose(
        self, researcher: TestClient, image: Image
    ) -> None:
        page = researcher.get(f"/explanations/{image.id}?merge=all&players=simulated").text
        links = re.findall(rf'<a href="/explanations/{image.id}([^"]*)"', page)
        assert links == [
            "?players=simulated",
            "?merge=labels&amp;players=simulated",
            "?merge=all&amp;players=simulated",
            "?merge=all&amp;players=people",
            "/data.csv?merge=all&amp;players=simulated",
            "/data.json?merge=all&amp;players=simulated",
        ]

    def test_other_players_do_not_exist(self, researcher: TestClient, image: Image) -> None:
        answer = researcher.get(f"/explanations/{image.id}?players=robots")
        assert answer.status_code == 422
        assert "players" in text_of(answer.text)

    def test_an_anonymous_visitor_sees_neither(self, client: TestClient, image: Image) -> None:
        for query in ("", "?players=people", "?players=simulated"):
            answer = client.get(f"/explanations/{image.id}{query}")
            assert answer.headers["location"].startswith("/sign-in?next=")

    @pytest.mark.usefixtures("by_people", "by_simulated")
    def test_the_study_counts_each_kind_apart(self, researcher: TestClient, study: Study) -> None:
        said = text_of(researcher.get(f"/studio/{study.slug}").text)
        figures = "Rounds played 1 Labels typed 1 Concepts found 1"
        overview = "Overview: rounds, coverage, agreement over time"
        assert f"The game {figures} {overview} Simulated players, kept apart {figures}" in said

    @pytest.mark.usefixtures("by_people")
    def test_the_study_does_not_mention_simulated_players_before_they_play(
        self, researcher: TestClient, study: Study
    ) -> None:
        assert "imulated" not in researcher.get(f"/studio/{study.slug}").text


class TestAgainstAnotherClass:
    def test_it_is_asked_for_waited_for_and_shown(
        self,
        researcher: TestClient,
        session: Session,
        study: Study,
        maps: list[ClusterMap],
        sent: Sent,
    ) -> None:
        image_id = maps[0].image_id
        page = f"/explanations/{image_id}"
        assert "Why “boat” and not" in text_of(researcher.get(page).text)
        asked = researcher.post(
            f"/studio/{study.slug}/pictures/{image_id}/contrasts", data={"against": "1"}
        )
        assert asked.headers["location"] == f"{page}?against=1"
        (job,) = sent.jobs
        assert job.name == "explanations.contrast"
        waiting = researcher.get(f"{page}?against=1").text
        part = researcher.get(f"{page}/contrasts/1", headers={"HX-Request": "true"})
        assert part.text.strip() in waiting
        assert "HX-Refresh" not in part.headers
        weights = {maps[0].id: 5.0, maps[1].id: 10.0, maps[2].id: 30.0}
        contrast_id = UUID(job.arguments["contrast_id"])
        contrasts.store(session, contrast_id, weights=weights, difference=2.5, made_by={})
        session.commit()
        over = researcher.get(f"{page}/contrasts/1", headers={"HX-Request": "true"})
        assert over.headers["HX-Refresh"] == "true"
        shown = text_of(researcher.get(f"{page}?against=1").text)
        assert "Why “boat” and not “kite”" in shown
        assert "“boat” scored 2.5 logits more than “kite”" in shown
        assert "of what set “boat” above “kite” here lies in these maps" in shown
        data = researcher.get(f"{page}/data.json?against=1").json()
        assert data["against"] == {"class": "kite", "status": "done", "logit_difference": 2.5}
        assert [group["weight"] for group in data["layers"][1]["groups"]] == [30.0, 10.0]
        # It is known for the answer alone, not for the difference.
        assert "Effect on the answer" not in shown

    def test_a_class_that_cannot_be_chosen_is_refused_in_words(
        self, researcher: TestClient, study: Study, maps: list[ClusterMap]
    ) -> None:
        address = f"/studio/{study.slug}/pictures/{maps[0].image_id}/contrasts"
        answer = researcher.post(address, data={"against": "0"})
        assert answer.status_code == InvalidInputError.status
        assert "Choose another class" in text_of(answer.text)
        nowhere = researcher.get(
            f"/explanations/{maps[0].image_id}/contrasts/1", headers={"HX-Request": "true"}
        )
        assert nowhere.status_code == 404
