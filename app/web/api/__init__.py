"""Everything that pages do with the game, studies and exports, as JSON and by the same services:
`/api/v1`. A module per subject."""

from functools import cache
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from app.web.api import (
    concepts,
    description,
    drafts,
    explanations,
    exports,
    game,
    moderation,
    studies,
)

_calls = APIRouter(
    prefix="/api/v1", responses=description.PROBLEMS, default_response_class=JSONResponse
)
for _module in (game, studies, drafts, explanations, concepts, moderation, exports):
    _calls.include_router(_module.router)


@cache
def openapi() -> dict[str, Any]:
    """The API as OpenAPI."""
    return description.describe(_calls.routes)


router = APIRouter()
router.include_router(_calls)
router.include_router(description.router(openapi))

__all__ = ["openapi", "router"]
