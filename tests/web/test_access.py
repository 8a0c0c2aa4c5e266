"""Who may use which address: a table of all roles and all routes.

A route that is not in the table fails the test: nobody adds one without saying who may use it.
"""

from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from httpx import Response
from sqlalchemy.orm import Session
from starlette.routing import Mount
from starlette.testclient import TestClient

from app.concepts.agreement import Agreement
from app.infra.storage import Storage
from app.models import Account, Concept, Image, Study
from app.services import access, accounts, concept_runs, drafts, rounds, sharing, tokens
from app.services.tokens import Scope
from app.web import watching
from app.web.templating import STATIC_FOLDERS
from tests.factories import make_account, make_image, make_study, maps_of
from tests.web.conftest import sign_in

ROLES = ("visitor", "player", "researcher", "viewer", "moderator", "owner", "admin")
"""Viewer, moderator and owner are so in the study that the addresses name; on the site, the first
two are players. The researcher has nothing to do with it."""

# In the order of the roles: + is let in, s sent to sign in, - refused, 0 told that there is no such
# thing. The game is the same for everybody, signed in or not.
EVERYBODY = "+++++++"
MAKER = "s-+--++"  # only researchers make studies; the owner is one
OWN_DRAFT = "s-0--++"  # the draft in the table is the owner's
OWN_DRAFT_FILE = "s-0--00"  # of which it has none
OWN_ROUND = "0+00000"  # the round in the table is the player's
OWN_ROUND_BY_API = "s+00000"  # where whoever has never played has to become a guest first
PLAYED = "s++++++"
SIGNED_IN = "s++++++"
STUDIO = "s-+++++"
VIEW = "s00++++"
MODERATE = "s00-+++"
MODERATE_NOTHING = "s00-000"  # the study has nothing of what the form names
OWN = "s00--++"
OWN_FILE = "s00--00"  # a file or link, of which the study has none
ADMIN = "s-----+"

TABLE = {
    "GET /": EVERYBODY,
    "GET /play": EVERYBODY,
    "GET /play/{slug}": EVERYBODY,
    "GET /join/{token}": EVERYBODY,
    "GET /rounds/{round_id}": OWN_ROUND,
    "POST /rounds/{round_id}/reveal": OWN_ROUND,
    "POST /rounds/{round_id}/guess": OWN_ROUND,
    "POST /rounds/{round_id}/resign": OWN_ROUND,
    "POST /rounds/{round_id}/skip-introduction": OWN_ROUND,
    "POST /rounds/{round_id}/report": "0000000",  # nobody has typed the word in the table
    "POST /play/{slug}/notes/{note_id}/read": "0++++++",  # it comes after a first round
    "GET /rounds/{round_id}/picture": OWN_ROUND,
    "GET /rounds/{round_id}/answer.jpg": OWN_ROUND,
    "GET /play/{slug}/daily": EVERYBODY,
    "GET /play/{slug}/live": EVERYBODY,
    "POST /play/{slug}/live": EVERYBODY,
    "POST /play/{slug}/live/recorded": "0++++++",  # it comes after having waited
    "GET /live/events": "0++++++",
    "POST /play/{slug}/ahead": "0++++++",  # it comes after a first round
    "GET /me": EVERYBODY,
    "POST /me/news": "0++++++",  # whoever has never played has no news
    "POST /language": EVERYBODY,
    "GET /boards": EVERYBODY,
    "GET /boards/{period}": EVERYBODY,
    "GET /docs/api": EVERYBODY,
    "GET /api/v1/openapi.json": EVERYBODY,
    "POST /api/v1/players": EVERYBODY,
    "GET /api/v1/games": EVERYBODY,
    "POST /api/v1/rounds": PLAYED,
    "GET /api/v1/rounds/{round_id}": OWN_ROUND_BY_API,
    "POST /api/v1/rounds/{round_id}/reveal": OWN_ROUND_BY_API,
    "POST /api/v1/rounds/{round_id}/guess": OWN_ROUND_BY_API,
    "POST /api/v1/rounds/{round_id}/resign": OWN_ROUND_BY_API,
    "GET /api/v1/rounds/{round_id}/picture": OWN_ROUND_BY_API,
    "GET /api/v1/rounds/{round_id}/answer.jpg": OWN_ROUND_BY_API,
    "GET /api/v1/me": PLAYED,
    "POST /api/v1/me/skip-introduction": PLAYED,
    "GET /api/v1/me/points": PLAYED,
    "GET /api/v1/boards/{period}": PLAYED,
    "GET /api/v1/studies": PLAYED,
    "GET /api/v1/studies/{slug}": VIEW,
    "PUT /api/v1/studies/{slug}/status": OWN,
    "PUT /api/v1/studies/{slug}/visibility": OWN,
    "PUT /api/v1/studies/{slug}/computing": OWN,
    "GET /api/v1/studies/{slug}/images": VIEW,
    "GET /api/v1/images/{image_id}": VIEW,
    "GET /api/v1/images/{image_id}/view.jpg": VIEW,
    "GET /api/v1/networks": MAKER,
    "POST /api/v1/drafts": MAKER,
    "GET /api/v1/drafts/{draft_id}": OWN_DRAFT,
    "DELETE /api/v1/drafts/{draft_id}": OWN_DRAFT,
    "PUT /api/v1/drafts/{draft_id}/layers": OWN_DRAFT,
    "PUT /api/v1/drafts/{draft_id}/game": OWN_DRAFT,
    "POST /api/v1/drafts/{draft_id}/pictures": OWN_DRAFT,
    "POST /api/v1/drafts/{draft_id}/finish": OWN_DRAFT,
    "GET /api/v1/images/{image_id}/explanation": VIEW,
    "GET /api/v1/studies/{slug}/classes/{class_id}/explanation": VIEW,
    "GET /api/v1/studies/{slug}/classes/{class_id}/concepts": VIEW,
    "POST /api/v1/studies/{slug}/classes/{class_id}/concepts/{concept_id}/merge": MODERATE,
    "POST /api/v1/studies/{slug}/classes/{class_id}/concepts/{concept_id}/split": MODERATE,
    "PUT /api/v1/studies/{slug}/classes/{class_id}/concepts/{concept_id}/name": MODERATE,
    "POST /api/v1/studies/{slug}/classes/{class_id}/concepts/{concept_id}/junk": MODERATE,
    "PUT /api/v1/studies/{slug}/classes/{class_id}/concepts/{concept_id}/part": MODERATE,
    "GET /api/v1/studies/{slug}/moderation/cases": MODERATE,
    "POST /api/v1/studies/{slug}/moderation/hide": MODERATE,
    "POST /api/v1/studies/{slug}/moderation/restore": MODERATE,
    "POST /api/v1/studies/{slug}/moderation/dismiss": MODERATE,
    "POST /api/v1/studies/{slug}/moderation/restrict": MODERATE,
    "POST /api/v1/studies/{slug}/moderation/warn": MODERATE,
    "GET /api/v1/studies/{slug}/moderation/acts": MODERATE,
    "POST /api/v1/studies/{slug}/moderation/acts/{act_id}/undo": MODERATE,
    "POST /api/v1/studies/{slug}/exports": OWN,
    "GET /api/v1/studies/{slug}/exports": OWN,
    "GET /api/v1/studies/{slug}/exports/{export_id}": OWN_FILE,
    "POST /api/v1/studies/{slug}/exports/{export_id}/cancel": OWN_FILE,
    "POST /api/v1/studies/{slug}/exports/{export_id}/resume": OWN_FILE,
    "GET /api/v1/studies/{slug}/exports/{export_id}/file": OWN_FILE,
    "POST /api/v1/studies/{slug}/snapshots": OWN,
    "GET /api/v1/studies/{slug}/snapshots": OWN,
    "GET /api/v1/studies/{slug}/snapshots/{number}": OWN_FILE,
    "GET /api/v1/studies/{slug}/snapshots/{number}/file": OWN_FILE,
    "GET /studio": STUDIO,
    "GET /studio/{slug}": VIEW,
    "GET /studio/{slug}/progress": VIEW,
    "GET /studio/{slug}/overview": VIEW,
    "GET /studio/{slug}/overview/{key}.csv": VIEW,
    "GET /studio/{slug}/signs": VIEW,
    "POST /studio/{slug}/computing": OWN,
    "POST /studio/{slug}/status": OWN,
    "POST /studio/{slug}/visibility": OWN,
    "POST /studio/{slug}/invitation": OWN,
    "POST /studio/{slug}/concepts": MODERATE,
    "GET /studio/{slug}/log": MODERATE,
    "GET /studio/{slug}/moderation": MODERATE,
    "POST /studio/{slug}/moderation": MODERATE_NOTHING,
    "POST /studio/{slug}/moderation/undo": MODERATE,
    "GET /studio/{slug}/concepts-of/{class_id}": MODERATE,
    "POST /studio/{slug}/concepts-of/{class_id}": MODERATE,
    "GET /studio/{slug}/members": OWN,
    "POST /studio/{slug}/members": OWN,
    "POST /studio/{slug}/members/{account_id}/remove": OWN,
    "GET /studio/{slug}/classes/{class_id}": VIEW,
    "GET /studio/{slug}/classes/{class_id}/data.json": VIEW,
    "GET /studio/{slug}/classes/{class_id}/data.csv": VIEW,
    "GET /studio/{slug}/classes/{class_id}/runs": VIEW,
    "GET /studio/{slug}/classes/{class_id}/runs/{number}": VIEW,
    "GET /studio/{slug}/classes/{class_id}/runs/{number}/data.json": VIEW,
    "POST /studio/{slug}/classes/{class_id}/measure": MODERATE,
    "GET /studio/{slug}/classes/{class_id}/measurement": VIEW,
    "GET /studio/{slug}/concepts/{concept_id}": VIEW,
    "POST /studio/{slug}/concepts/{concept_id}/mark": MODERATE,
    "GET /studio/{slug}/network": VIEW,
    "GET /studio/{slug}/network/data.csv": VIEW,
    "GET /studio/{slug}/network/data.json": VIEW,
    "GET /compare": VIEW,
    "GET /compare/data.csv": VIEW,
    "GET /compare/data.json": VIEW,
    "GET /search": VIEW,
    "GET /search/data.csv": VIEW,
    "GET /search/data.json": VIEW,
    "GET /studio/{slug}/shares": OWN,
    "POST /studio/{slug}/shares": OWN,
    "POST /studio/{slug}/shares/{link_id}/revoke": OWN_FILE,
    "GET /shared/{token}": EVERYBODY,
    "GET /studio/{slug}/exports": OWN,
    "POST /studio/{slug}/exports": OWN,
    "GET /studio/{slug}/exports/jobs": OWN,
    "POST /studio/{slug}/exports/{export_id}/cancel": OWN_FILE,
    "POST /studio/{slug}/exports/{export_id}/resume": OWN_FILE,
    "GET /studio/{slug}/exports/{export_id}/file": OWN_FILE,
    "POST /studio/{slug}/exports/snapshots": OWN,
    "GET /studio/{slug}/exports/snapshots/{number}/file": OWN_FILE,
    "GET /drafts/new": MAKER,
    "POST /drafts/new": MAKER,
    "GET /drafts/{draft_id}": OWN_DRAFT,
    "POST /drafts/{draft_id}/discard": OWN_DRAFT,
    "GET /drafts/{draft_id}/network": OWN_DRAFT,
    "POST /drafts/{draft_id}/network": OWN_DRAFT,
    "POST /drafts/{draft_id}/network-files": OWN_DRAFT,
    "GET /drafts/{draft_id}/layers": OWN_DRAFT,
    "POST /drafts/{draft_id}/layers": OWN_DRAFT,
    "GET /drafts/{draft_id}/pictures": OWN_DRAFT,
    "POST /drafts/{draft_id}/pictures": OWN_DRAFT,
    "POST /drafts/{draft_id}/pictures/remove": OWN_DRAFT,
    "POST /drafts/{draft_id}/pictures/forget-refusals": OWN_DRAFT,
    "GET /drafts/{draft_id}/thumbnails/{file_id}.jpg": OWN_DRAFT_FILE,
    "GET /drafts/{draft_id}/game": OWN_DRAFT,
    "POST /drafts/{draft_id}/game": OWN_DRAFT,
    "GET /drafts/{draft_id}/review": OWN_DRAFT,
    "POST /drafts/{draft_id}/preview": OWN_DRAFT_FILE,
    "GET /drafts/{draft_id}/preview/{preview_id}/{name}.jpg": OWN_DRAFT_FILE,
    "POST /drafts/{draft_id}/finish": OWN_DRAFT,
    "GET /images/{image_id}/view.jpg": VIEW,
    "GET /explanations/{image_id}": VIEW,
    "GET /explanations/{image_id}/contrasts/{other_index}": VIEW,
    "POST /studio/{slug}/pictures/{image_id}/contrasts": MODERATE,
    "GET /explanations/{image_id}/data.json": VIEW,
    "GET /explanations/{image_id}/data.csv": VIEW,
    "GET /explanations/{image_id}/maps/{map_ids}.jpg": VIEW,
    "GET /explanations/{image_id}/maps/{map_ids}/region-{reveal_index}.jpg": VIEW,
    "GET /sign-up": EVERYBODY,
    "POST /sign-up": EVERYBODY,
    "GET /sign-in": EVERYBODY,
    "POST /sign-in": EVERYBODY,
    "POST /sign-out": EVERYBODY,
    "GET /forgotten": EVERYBODY,
    "POST /forgotten": EVERYBODY,
    # Whoever has the link.
    "GET /reset/{token}": EVERYBODY,
    "POST /reset/{token}": EVERYBODY,
    "GET /confirm/{token}": EVERYBODY,
    "POST /confirm/{token}": EVERYBODY,
    "GET /account": SIGNED_IN,
    "POST /account/name": SIGNED_IN,
    "POST /account/email": SIGNED_IN,
    "POST /account/password": SIGNED_IN,
    "POST /account/sign-ins/{sign_in_id}/end": SIGNED_IN,
    "POST /account/sign-out-everywhere": SIGNED_IN,
    "GET /account/tokens": SIGNED_IN,
    "POST /account/tokens": SIGNED_IN,
    "POST /account/tokens/{token_id}/revoke": "s000000",  # of which nobody has one
    "GET /account/erase": SIGNED_IN,
    "POST /account/erase": SIGNED_IN,
    "GET /invited/{token}": "0000000",  # of which nobody has got one
    "POST /invited/{token}": "s000000",
    "POST /studio/{slug}/invitations": OWN,
    "POST /studio/{slug}/invitations/{invitation_id}/revoke": OWN,
    "GET /admin/health": ADMIN,
    "GET /admin/jobs": ADMIN,
    "POST /admin/jobs/retry": "s-----0",  # of which nothing has failed
    "POST /admin/jobs/{job_id}/{act}": "s-----0",
    "GET /admin/settings": ADMIN,
    "POST /admin/invitations": ADMIN,
    "POST /admin/invitations/{invitation_id}/revoke": ADMIN,
    "GET /admin/log": ADMIN,
    "GET /admin/users": ADMIN,
    "GET /admin/users/{account_id}": ADMIN,
    "POST /admin/users/{account_id}/role": ADMIN,
    "POST /admin/users/{account_id}/link": ADMIN,
    "POST /admin/users/{account_id}/sign-out": ADMIN,
    "POST /admin/users/{account_id}/erase": ADMIN,
    "GET /healthz": EVERYBODY,
    "GET /readyz": EVERYBODY,
    "GET /metrics": "0000000",  # for programs that know the token of the settings
}

# What a token needs to be for, beside what the account may do.
SCOPES: dict[Scope, tuple[str, ...]] = {
    "play": (
        "POST /api/v1/rounds",
        "GET /api/v1/rounds/{round_id}",
        "POST /api/v1/rounds/{round_id}/reveal",
        "POST /api/v1/rounds/{round_id}/guess",
        "POST /api/v1/rounds/{round_id}/resign",
        "GET /api/v1/rounds/{round_id}/picture",
        "GET /api/v1/rounds/{round_id}/answer.jpg",
        "GET /api/v1/me",
        "GET /api/v1/me/points",
        "POST /api/v1/me/skip-introduction",
        "GET /api/v1/boards/{period}",
    ),
    "read": (
        "GET /api/v1/studies",
        "GET /api/v1/studies/{slug}",
        "GET /api/v1/studies/{slug}/images",
        "GET /api/v1/images/{image_id}",
        "GET /api/v1/images/{image_id}/view.jpg",
        "GET /api/v1/images/{image_id}/explanation",
        "GET /api/v1/studies/{slug}/classes/{class_id}/explanation",
        "GET /api/v1/studies/{slug}/classes/{class_id}/concepts",
    ),
    "moderate": (
        "POST /api/v1/studies/{slug}/classes/{class_id}/concepts/{concept_id}/merge",
        "POST /api/v1/studies/{slug}/classes/{class_id}/concepts/{concept_id}/split",
        "PUT /api/v1/studies/{slug}/classes/{class_id}/concepts/{concept_id}/name",
        "POST /api/v1/studies/{slug}/classes/{class_id}/concepts/{concept_id}/junk",
        "PUT /api/v1/studies/{slug}/classes/{class_id}/concepts/{concept_id}/part",
        "GET /api/v1/studies/{slug}/moderation/cases",
        "POST /api/v1/studies/{slug}/moderation/hide",
        "POST /api/v1/studies/{slug}/moderation/restore",
        "POST /api/v1/studies/{slug}/moderation/dismiss",
        "POST /api/v1/studies/{slug}/moderation/restrict",
        "POST /api/v1/studies/{slug}/moderation/warn",
        "GET /api/v1/studies/{slug}/moderation/acts",
        "POST /api/v1/studies/{slug}/moderation/acts/{act_id}/undo",
    ),
    "manage": (
        "PUT /api/v1/studies/{slug}/status",
        "PUT /api/v1/studies/{slug}/visibility",
        "PUT /api/v1/studies/{slug}/computing",
        "GET /api/v1/networks",
        "POST /api/v1/drafts",
        "GET /api/v1/drafts/{draft_id}",
        "DELETE /api/v1/drafts/{draft_id}",
        "PUT /api/v1/drafts/{draft_id}/layers",
        "PUT /api/v1/drafts/{draft_id}/game",
        "POST /api/v1/drafts/{draft_id}/pictures",
        "POST /api/v1/drafts/{draft_id}/finish",
    ),
    "export": (
        "POST /api/v1/studies/{slug}/exports",
        "GET /api/v1/studies/{slug}/exports",
        "GET /api/v1/studies/{slug}/exports/{export_id}",
        "POST /api/v1/studies/{slug}/exports/{export_id}/cancel",
        "POST /api/v1/studies/{slug}/exports/{export_id}/resume",
        "GET /api/v1/studies/{slug}/exports/{export_id}/file",
        "POST /api/v1/studies/{slug}/snapshots",
        "GET /api/v1/studies/{slug}/snapshots",
        "GET /api/v1/studies/{slug}/snapshots/{number}",
        "GET /api/v1/studies/{slug}/snapshots/{number}/file",
    ),
}
WITHOUT_TOKEN = {"POST /api/v1/players", "GET /api/v1/games", "GET /api/v1/openapi.json"}

# What a form must hold to be understood; the rest may be wrong, since getting in is what counts.
FORMS = {
    "POST /rounds/{round_id}/reveal": {"from_step": "0"},
    "POST /rounds/{round_id}/report": {"text": "sail"},
    "POST /studio/{slug}/moderation": {"act": "hide", "label_id": "1"},
    "POST /studio/{slug}/moderation/undo": {"entry_id": "1"},
    "POST /studio/{slug}/concepts-of/{class_id}": {"act": "merge"},
    "POST /studio/{slug}/members": {"role": "viewer", "name": "bystander"},
    "POST /studio/{slug}/classes/{class_id}/measure": {"players": "people"},
    "POST /studio/{slug}/concepts/{concept_id}/mark": {"part": "unsaid"},
    "POST /studio/{slug}/pictures/{image_id}/contrasts": {"against": "1"},
    "POST /studio/{slug}/shares": {"address": "/studio/x/network", "days": "30"},
    "POST /language": {"language": "en"},
    "POST /account/erase": {"words": "keep"},
    "POST /studio/{slug}/invitations": {"role": "viewer"},
    "POST /admin/invitations": {"role": "player"},
    "POST /admin/jobs/retry": {"kind": "export", "key": "none"},
    "POST /admin/users/{account_id}/role": {"role": "player"},
    "POST /admin/users/{account_id}/erase": {"words": "keep"},
}
# What the JSON API has to be sent.
BODIES: dict[str, dict[str, object]] = {
    "POST /api/v1/rounds": {"study": "no-such-study"},
    "POST /api/v1/rounds/{round_id}/reveal": {"from_index": 0},
    "POST /api/v1/rounds/{round_id}/guess": {"class_id": 1, "labels": []},
}
QUERIES = {
    "GET /rounds/{round_id}/picture": {"step": "0"},
    "GET /api/v1/rounds/{round_id}/picture": {"step": "0"},
    "GET /studio/{slug}/classes/{class_id}/measurement": {"players": "people"},
    "GET /compare/data.csv": {"left": "{class_id}", "right": "{class_id}"},
    "GET /compare/data.json": {"left": "{class_id}", "right": "{class_id}"},
    "GET /search/data.csv": {"q": ""},
    "GET /search/data.json": {"q": ""},
}


def routes(app: FastAPI) -> set[str]:
    """The app's routes by method and address, static files left out."""
    found = set()
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Mount):
            assert route.path in STATIC_FOLDERS, f"{route.path} is an app of its own: test it, too"
        else:
            found |= {f"{method} {route.path}" for method in route.methods or ()}
    return found - {f"HEAD {address.partition(' ')[2]}" for address in found}


def test_the_table_has_every_route(app: FastAPI) -> None:
    assert routes(app) == set(TABLE)


@dataclass
class Site:
    """A study that is shared with some, a finished round of the player's, and a bystander."""

    people: dict[str, Account | None]
    study: Study
    image: Image
    class_id: int
    round_id: UUID
    bystander: Account


@pytest.fixture
def site(session: Session, storage: Storage) -> Site:
    people: dict[str, Account | None] = {"visitor": None}
    for role in ROLES[1:]:
        site_role = role if role in {"researcher", "admin"} else "player"
        site_role = "researcher" if role == "owner" else site_role
        people[role] = make_account(session, f"the-{role}", role=site_role)
    study = make_study(session, owner=people["owner"])
    for role in ("viewer", "moderator"):
        access.set_member(session, study, name=f"the-{role}", role=role)
    image = make_image(session, storage, study)
    player = people["player"]
    assert player is not None
    round_ = rounds.deal(session, player=player.player, study=study)
    assert round_ is not None
    rounds.resign(session, round_id=round_.id, player=player.player)
    concept_runs.record(
        session,
        class_id=image.class_id,
        simulated=False,
        made_by={"method": "paper", "sentence_model": "none", "layerplay": "0"},
        members=[],
        scores={},
        agreement=Agreement(None, None, None, 0, 0),
    )
    make_account(session, role="admin")  # so that no admin is the only one
    bystander = make_account(session, "bystander")
    session.commit()
    return Site(people, study, image, image.class_id, round_.id, bystander)


def ask(session: Session, client: TestClient, site: Site, route: str) -> Response:
    """Ask for a route with what its address needs."""
    method, _, path = route.partition(" ")
    # What others have used up already is made anew.
    made: dict[str, object] = {}
    if "{token}" in path:
        made["token"] = new_token(session, site, path)
    if "{concept_id}" in path:
        concept = Concept(class_id=site.class_id, name=f"sail {uuid4().hex}")
        session.add(concept)
        session.flush()
        made["concept_id"] = concept.id
    if "{draft_id}" in path:
        owner = site.people["owner"]
        assert owner is not None
        made["draft_id"] = drafts.create(session, name=f"Draft {uuid4().hex}", owner=owner).id
    if "{map_ids}" in path:
        made["map_ids"] = maps_of(session, site.image)[0].id
    session.commit()
    address = path.format(
        **made,
        slug=site.study.slug,
        round_id=site.round_id,
        image_id=site.image.id,
        key="rounds",
        period="week",
        reveal_index=0,
        other_index=1,
        account_id=site.bystander.id,
        sign_in_id=uuid4(),
        token_id=uuid4(),
        invitation_id=uuid4(),
        job_id="none",
        act="retry",
        act_id=1,
        note_id=1,
        export_id=uuid4(),
        number=1,
        class_id=site.class_id,
        link_id=1,
        file_id=uuid4(),
        preview_id=uuid4(),
        name="view",
    )
    body = BODIES.get(route)
    return client.request(
        method,
        address,
        params={
            name: value.format(class_id=site.class_id)
            for name, value in QUERIES.get(route, {}).items()
        },
        data=FORMS.get(route),
        json={**body, "study": site.study.slug} if body and "study" in body else body,
    )


def new_token(session: Session, site: Site, path: str) -> str | None:
    """What the address of a link ends with."""
    if "join" in path:
        return site.study.invite_token
    if "shared" in path:
        address = f"/studio/{site.study.slug}/network"
        return sharing.create(session, site.study, address=address, days=30)[1]
    if "confirm" in path:
        email = "new@example.org"
        return accounts.make_link(session, site.bystander, purpose="email", email=email)
    return accounts.make_link(session, site.bystander, purpose="password")


def letter(answer: Response) -> str:
    sent = answer.headers.get("location", "").startswith("/sign-in?next=")
    if sent or answer.status_code == 401:
        return "s"
    assert answer.status_code < 500
    return {403: "-", 404: "0"}.get(answer.status_code, "+")


@pytest.mark.parametrize("route", TABLE)
def test_who_is_let_in(
    session: Session,
    client: TestClient,
    site: Site,
    route: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Whoever may watch, watches for a moment only.
    monkeypatch.setattr(watching, "WATCH_S", 0.0)
    monkeypatch.setattr(watching, "HEARTBEAT_S", 0.01)
    found = ""
    for role in ROLES:
        client.cookies.clear()
        account = site.people[role]
        if account is not None:
            sign_in(session, client, account)
        found += letter(ask(session, client, site, route))
    assert dict(zip(ROLES, found, strict=True)) == dict(zip(ROLES, TABLE[route], strict=True))


def test_every_call_of_the_api_has_its_scope() -> None:
    scoped = [route for routes in SCOPES.values() for route in routes]
    calls = {route for route in TABLE if " /api/v1/" in route}
    assert sorted(scoped) == sorted(calls - WITHOUT_TOKEN)


@pytest.mark.parametrize(
    ("scope", "route"), [(scope, route) for scope, routes in SCOPES.items() for route in routes]
)
def test_a_token_needs_the_scope_and_its_owner_the_role(
    session: Session, client: TestClient, site: Site, scope: Scope, route: str
) -> None:
    def ask_with(account: Account | None, scopes: set[Scope]) -> str:
        assert account is not None
        _, text = tokens.create(session, account, name="a program", scopes=scopes, days=1)
        client.headers["Authorization"] = f"Bearer {text}"
        return letter(ask(session, client, site, route))

    # With the scope alone, a token may what its owner may in a browser.
    found = "".join(ask_with(site.people[role], {scope}) for role in ROLES[1:])
    assert dict(zip(ROLES[1:], found, strict=True)) == dict(
        zip(ROLES[1:], TABLE[route][1:], strict=True)
    )
    # With every other, not even an admin's may.
    assert ask_with(site.people["admin"], set(tokens.SCOPES) - {scope}) == "-"


def test_who_is_refused_changes_nothing(session: Session, client: TestClient, site: Site) -> None:
    """The form that would do most harm, sent by those who almost may."""
    address = f"/admin/users/{site.bystander.id}/erase"
    for role in ("visitor", "player", "researcher", "viewer", "moderator", "owner"):
        client.cookies.clear()
        account = site.people[role]
        if account is not None:
            sign_in(session, client, account)
        client.post(address, data={"words": "remove", "name": site.bystander.name})
    assert accounts.find(session, site.bystander.name) is site.bystander
