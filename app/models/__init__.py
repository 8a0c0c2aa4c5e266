"""The tables. Importing this package knows them all, as the migrations need."""

from app.models.accounts import Player
from app.models.base import Base
from app.models.explanations import ClusterMap, KnownAnswer, LayerExplanation, LocalExplanation
from app.models.labels import Concept, ConceptPin, ConceptScore, Embedding, Label
from app.models.rounds import PointsEntry, Round
from app.models.studies import Image, Layer, Network, Study, StudyClass

__all__ = [
    "Base",
    "ClusterMap",
    "Concept",
    "ConceptPin",
    "ConceptScore",
    "Embedding",
    "Image",
    "KnownAnswer",
    "Label",
    "Layer",
    "LayerExplanation",
    "LocalExplanation",
    "Network",
    "Player",
    "PointsEntry",
    "Round",
    "Study",
    "StudyClass",
]
