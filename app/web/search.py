"""Search by meaning across the studies that the visitor may read."""

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.concepts import load_embedder
from app.services import concept_search, studies
from app.services.concept_search import FoundWord
from app.web.deps import SessionDep, SettingsDep, require_researcher
from app.web.sharing import may_read
from app.web.templating import render

router = APIRouter(default_response_class=Response)


@dataclass(frozen=True, slots=True)
class SearchContext:
    """query: as typed, empty before anything was. found: None then."""

    query: str
    players: Literal["people", "simulated"]
    found: list[FoundWord] | None


@router.get("/search")
def search(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    q: str = "",
    players: Literal["people", "simulated"] = "people",
) -> Response:
    readable = [
        study.id for study in studies.list_all(session) if may_read(request, session, study.id)
    ]
    if not readable:
        require_researcher(request)
    found = None
    if q.strip():
        found = concept_search.find_maps(
            session,
            q,
            # Loaded by the first search, since it takes seconds and most visitors never search.
            embed=load_embedder(settings.sentence_model),
            study_ids=readable,
            simulated=players == "simulated",
        )
    return render(request, "global/search.html", SearchContext(q, players, found))
