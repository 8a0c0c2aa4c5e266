"""Search by meaning across the studies that the visitor may read."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.concepts import load_embedder
from app.services import concept_search
from app.services.concept_search import FoundWord
from app.web.deps import MaybeVisitorDep, SessionDep, SettingsDep
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


def get_search(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    visitor: MaybeVisitorDep,
    q: str = "",
    players: Players = "people",
) -> SearchContext:
    """What is searched for in the address, in the studies that the visitor may read.

    Whoever may read none is refused before anything is searched for.
    """
    studies = readable(request, session, visitor)
    if not q.strip():
        return SearchContext(q, players, None)
    found = concept_search.find_maps(
        session,
        q,
        # Loaded by the first search, since it takes seconds and most visitors never search.
        embed=load_embedder(settings.sentence_model),
        study_ids=[study.id for study in studies],
        simulated=players == "simulated",
    )
    return SearchContext(q, players, found)


SearchDep = Annotated[SearchContext, Depends(get_search, scope="function")]


@router.get("/search")
def search(request: Request, searched: SearchDep) -> Response:
    return render(request, "global/search.html", searched)


@router.get("/search/data.csv")
def search_csv(searched: SearchDep) -> Response:
    """A row for each map that the page shows."""
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
        for one in searched.found or ()
        for shown in one.maps
    ]
    return download(to_csv(rows), "search.csv")


@router.get("/search/data.json")
def search_json(searched: SearchDep) -> Response:
    """All that the page shows."""
    found = [asdict(one) for one in searched.found or ()]
    content = {"query": searched.query, "players": searched.players, "found": found}
    text = json.dumps(content, indent=1, ensure_ascii=False, default=str)
    return download(text, "search.json")
