"""The tables. Importing this package knows them all, as the migrations need."""

from app.models.accounts import Account, OneTimeLink, Player, SignIn
from app.models.audit import AuditEntry
from app.models.base import Base
from app.models.drafts import DraftFile, StudyDraft, Upload
from app.models.explanations import ClusterMap, KnownAnswer, LayerExplanation, LocalExplanation
from app.models.labels import Concept, ConceptScore, Label
from app.models.rounds import PointsEntry, Round
from app.models.studies import Guest, Image, Layer, Network, Study, StudyClass, StudyMember

__all__ = [
    "Account",
    "AuditEntry",
    "Base",
    "ClusterMap",
    "Concept",
    "ConceptScore",
    "DraftFile",
    "Guest",
    "Image",
    "KnownAnswer",
    "Label",
    "Layer",
    "LayerExplanation",
    "LocalExplanation",
    "Network",
    "OneTimeLink",
    "Player",
    "PointsEntry",
    "Round",
    "SignIn",
    "Study",
    "StudyClass",
    "StudyDraft",
    "StudyMember",
    "Upload",
]
