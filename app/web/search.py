"""Search by meaning across the studies that the visitor may read."""

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.concepts import load_embedder
from app.services import concept_search
from app.services.concept_search import FoundWord
from app.web.deps import MaybeVisitorDep, SessionDep, SettingsDep
from app.web.sharing import readable
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
    visitor: MaybeVisitorDep,
    q: str = "",
    players: Literal["people", "simulated"] = "people",
) -> Response:
    study_ids = [study.id for study in readable(request, session, visitor)]
    found = None
    if q.strip():
        found = concept_search.find_maps(
            session,
            q,
            # Loaded by the first search, since it takes seconds and most visitors never search.
            embed=load_embedder(settings.sentence_model),
            study_ids=study_ids,
            simulated=players == "simulated",
        )
    return render(request, "global/search.html", SearchContext(q, players, found))
