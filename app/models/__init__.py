"""The tables. Importing this package knows them all, as the migrations need."""

from app.models.accounts import Player
from app.models.base import Base
from app.models.explanations import ClusterMap, KnownAnswer, LayerExplanation, LocalExplanation
from app.models.labels import Concept, ConceptScore, Label
from app.models.measures import (
    ClassMeasurement,
    ConceptBelonging,
    ConceptHiding,
    ConceptMark,
    ConceptTest,
    MapPrototype,
)
from app.models.rounds import PointsEntry, Round
from app.models.search import WordEmbedding
from app.models.sharing import ShareLink
from app.models.studies import Image, Layer, Network, Study, StudyClass

__all__ = [
    "Base",
    "ClassMeasurement",
    "ClusterMap",
    "Concept",
    "ConceptBelonging",
    "ConceptHiding",
    "ConceptMark",
    "ConceptScore",
    "ConceptTest",
    "Image",
    "KnownAnswer",
    "Label",
    "Layer",
    "LayerExplanation",
    "LocalExplanation",
    "MapPrototype",
    "Network",
    "Player",
    "PointsEntry",
    "Round",
    "ShareLink",
    "Study",
    "StudyClass",
    "WordEmbedding",
]
