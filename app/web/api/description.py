"""The API as OpenAPI, and as a page that needs no script."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.openapi.utils import get_openapi
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from app.services import tokens
from app.services.tokens import Scope
from app.web.api.shapes import Problem, Shape, all_shapes, examples
from app.web.templating import render

PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "model": Problem,
        "description": words,
        "content": {"application/problem+json": {}},
    }
    for status, words in {
        400: "What was sent could not be read: it is no JSON, or no UTF-8.",
        401: "No token, or none that is known.",
        403: "The token lacks the scope, or its account may not do that.",
        404: "There is no such thing, or it is not shared with you.",
        409: "Not in the present state.",
        413: "More was sent than is taken at once.",
        422: "What was sent cannot be used.",
        429: "Too often. Retry-After says when to try again.",
    }.items()
}
"""What every call may answer instead."""

_ABOUT: Final = (
    "Everything is JSON. Errors are problem details (RFC 9457): `detail` is a sentence for people. "
    "Lists come a page at a time: send `next` of a page as `cursor` for the one after it. A token "
    "does what its scopes say and its account may do: "
    + "; ".join(f"`{scope}`: {words}" for scope, words in tokens.SCOPES.items())
    + "."
)


def describe(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """These routes as OpenAPI."""
    content = get_openapi(
        title="Layerplay",
        version="1",
        summary="The game, the studio and exports, for programs.",
        description=_ABOUT,
        routes=routes,
    )
    schemas = content["components"]["schemas"]
    for shape in all_shapes(Shape):
        # FastAPI drops what is null from examples, as if the shape did not need it.
        if shape.__name__ in schemas:
            schemas[shape.__name__]["examples"] = examples(shape)
    for operations in content["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                # FastAPI lists a model as plain JSON; ours is a problem.
                if status.isdigit() and int(status) >= 400:
                    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
                    response["content"] = {"application/problem+json": problem}
    return content


@dataclass(frozen=True, slots=True)
class DocsContext:
    """groups: by subject, the operations: method, path and what OpenAPI says of each. schemas: by
    name. scopes: each with what a token with it may be used for."""

    groups: Mapping[str, list[tuple[str, str, Mapping[str, Any]]]]
    schemas: Mapping[str, Any]
    scopes: Mapping[Scope, str]


def router(description: Callable[[], dict[str, Any]]) -> APIRouter:
    """The two addresses at which a description is served."""
    found = APIRouter(default_response_class=Response)

    @found.get("/api/v1/openapi.json", include_in_schema=False)
    def openapi() -> JSONResponse:
        return JSONResponse(description())

    @found.get("/docs/api", include_in_schema=False)
    def docs(request: Request) -> Response:
        """The description as a page, without any script."""
        content = description()
        groups: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
        for path, operations in content["paths"].items():
            for method, operation in operations.items():
                of_subject = groups.setdefault(operation["tags"][0], [])
                of_subject.append((method.upper(), path, operation))
        context = DocsContext(groups, content["components"]["schemas"], tokens.SCOPES)
        return render(request, "api/docs.html", context)

    return found
