"""Search by meaning across the studies that the visitor may read."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.concepts import load_embedder
from app.infra.settings import Settings
from app.services import concept_search
from app.services.concept_search import FoundWord
from app.web.deps import MaybeVisitorDep, SessionDep, SettingsDep, Visitor
from app.web.downloads import download, to_csv
from app.web.sharing import readable
from app.web.templating import render

router = APIRouter(default_response_class=Response)


Players = Literal["people", "simulated"]


@dataclass(frozen=True, slots=True)
class SearchContext:
    """query: as typed, empty before anything was. found: None then."""

    query: str
    players: Players
    found: list[FoundWord] | None


@router.get("/search")
def search(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    visitor: MaybeVisitorDep,
    q: str = "",
    players: Players = "people",
) -> Response:
    study_ids = _study_ids(request, session, visitor)
    found = _find(session, settings, study_ids, q, players) if q.strip() else None
    return render(request, "global/search.html", SearchContext(q, players, found))


@router.get("/search/data.csv")
def search_csv(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    visitor: MaybeVisitorDep,
    q: str,
    players: Players = "people",
) -> Response:
    """A row for each map that the page shows."""
    found = _find(session, settings, _study_ids(request, session, visitor), q, players)
    rows: list[list[Any]] = [
        [
            *("word", "similarity", "maps_of_the_word", "study", "class", "picture", "layer"),
            *("cluster_map", "score"),
        ]
    ]
    rows += [
        [
            *(one.word, one.similarity, one.n_maps, shown.study_name, shown.class_name),
            *(shown.file_name, shown.layer, shown.map_id, shown.score),
        ]
        for one in found
        for shown in one.maps
    ]
    return download(to_csv(rows), "search.csv")


@router.get("/search/data.json")
def search_json(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    visitor: MaybeVisitorDep,
    q: str,
    players: Players = "people",
) -> Response:
    """All that the page shows."""
    found = _find(session, settings, _study_ids(request, session, visitor), q, players)
    content = {"query": q, "players": players, "found": [asdict(one) for one in found]}
    text = json.dumps(content, indent=1, ensure_ascii=False, default=str)
    return download(text, "search.json")


def _study_ids(request: Request, session: Session, visitor: Visitor | None) -> list[UUID]:
    return [study.id for study in readable(request, session, visitor)]


def _find(
    session: Session, settings: Settings, study_ids: Sequence[UUID], query: str, players: Players
) -> list[FoundWord]:
    return concept_search.find_maps(
        session,
        query,
        # Loaded by the first search, since it takes seconds and most visitors never search.
        embed=load_embedder(settings.sentence_model),
        study_ids=study_ids,
        simulated=players == "simulated",
    )
