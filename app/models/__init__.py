"""The tables. Importing this package knows them all, as the migrations need."""

from app.models.accounts import Account, ApiToken, OneTimeLink, Player, SignIn
from app.models.audit import AuditEntry
from app.models.base import Base
from app.models.drafts import DraftFile, StudyDraft, Upload
from app.models.embeddings import Embedding
from app.models.explanations import (
    ClusterMap,
    Contrast,
    KnownAnswer,
    LayerExplanation,
    LocalExplanation,
)
from app.models.exports import Export, Snapshot
from app.models.labels import (
    Concept,
    ConceptPin,
    ConceptRun,
    ConceptScore,
    Label,
    NewLabels,
)
from app.models.live import Partner, Seat
from app.models.measures import (
    ClassMeasurement,
    ConceptBelonging,
    ConceptHiding,
    ConceptTest,
    MapPrototype,
)
from app.models.moderation import Flag, Note, PlayerDevice, Restriction
from app.models.rounds import DailyMap, Hand, PointsEntry, Round
from app.models.sharing import ShareLink
from app.models.standings import Board, BoardStep, BoardTotal, Tally
from app.models.studies import (
    Guest,
    Image,
    Invitation,
    Layer,
    Network,
    Study,
    StudyClass,
    StudyMember,
)

__all__ = [
    "Account",
    "ApiToken",
    "AuditEntry",
    "Base",
    "Board",
    "BoardStep",
    "BoardTotal",
    "ClassMeasurement",
    "ClusterMap",
    "Concept",
    "ConceptBelonging",
    "ConceptHiding",
    "ConceptPin",
    "ConceptRun",
    "ConceptScore",
    "ConceptTest",
    "Contrast",
    "DailyMap",
    "DraftFile",
    "Embedding",
    "Export",
    "Flag",
    "Guest",
    "Hand",
    "Image",
    "Invitation",
    "KnownAnswer",
    "Label",
    "Layer",
    "LayerExplanation",
    "LocalExplanation",
    "MapPrototype",
    "Network",
    "NewLabels",
    "Note",
    "OneTimeLink",
    "Partner",
    "Player",
    "PlayerDevice",
    "PointsEntry",
    "Restriction",
    "Round",
    "Seat",
    "ShareLink",
    "SignIn",
    "Snapshot",
    "Study",
    "StudyClass",
    "StudyDraft",
    "StudyMember",
    "Tally",
    "Upload",
]
