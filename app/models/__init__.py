"""The tables. Importing this package knows them all, as the migrations need."""

from app.models.accounts import Player
from app.models.base import Base
from app.models.explanations import ClusterMap, KnownAnswer, LayerExplanation, LocalExplanation
from app.models.labels import Concept, ConceptScore, Label
from app.models.moderation import Flag
from app.models.rounds import DailyMap, Hand, PointsEntry, Round
from app.models.standings import Board, BoardStep, BoardTotal, Tally
from app.models.studies import Image, Layer, Network, Study, StudyClass

__all__ = [
    "Base",
    "Board",
    "BoardStep",
    "BoardTotal",
    "ClusterMap",
    "Concept",
    "ConceptScore",
    "DailyMap",
    "Flag",
    "Hand",
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
    "Tally",
]
