"""From what players typed to concepts with scores. No database, web, settings or clock."""

from app.concepts.cleaning import MAX_LABEL_CHARACTERS, clean_label, contains_word, tidy_label
from app.concepts.grouping import (
    PACKAGED_MODEL,
    Embedder,
    LabelGroup,
    ModelError,
    group_labels,
    load_embedder,
)
from app.concepts.merging import FULL_MERGE_N_CONCEPTS, connect_maps, merge_scores
from app.concepts.recipes import RECIPES, Recipe, TypedLabel, get_recipe
from app.concepts.scoring import (
    ConceptScore,
    GameRecord,
    GivenConcept,
    best_concepts,
    game_record,
    paper_score,
    score_concepts,
)
from app.concepts.settling import has_settled
from app.concepts.skill import PlayerRecord, Score, get_score

__all__ = [
    "FULL_MERGE_N_CONCEPTS",
    "MAX_LABEL_CHARACTERS",
    "PACKAGED_MODEL",
    "RECIPES",
    "ConceptScore",
    "Embedder",
    "GameRecord",
    "GivenConcept",
    "LabelGroup",
    "ModelError",
    "PlayerRecord",
    "Recipe",
    "Score",
    "TypedLabel",
    "best_concepts",
    "clean_label",
    "connect_maps",
    "contains_word",
    "game_record",
    "get_recipe",
    "get_score",
    "group_labels",
    "has_settled",
    "load_embedder",
    "merge_scores",
    "paper_score",
    "score_concepts",
    "tidy_label",
]
