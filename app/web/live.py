"""Playing with a partner: waiting for one, and hearing that there is one."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import Response

from app.infra.errors import ConflictError
from app.models import Study
from app.services import live, studies
from app.web.deps import AccountDep, KnownPlayerDep, PlayerDep, SessionDep, SignsDep
from app.web.templating import is_htmx, redirect, render
from app.web.watching import watch

router = APIRouter(default_response_class=Response)


@dataclass(frozen=True, slots=True)
class WaitingContext:
    """waiting_s: seconds until an earlier player's words stand in; None for who waits not."""

    study: Study
    waiting_s: float | None


@router.post("/play/{slug}/live")
def seek(
    request: Request,
    session: SessionDep,
    player: PlayerDep,
    account: AccountDep,
    signs: SignsDep,
    slug: str,
) -> Response:
    study = studies.enter(session, slug, player=player, account=account)
    if live.has_round(session, player=player, study=study):
        return redirect(request, f"/play/{slug}")
    try:
        partner_id = live.seek(session, player=player, study=study)
    except ConflictError:
        # A round is under way, and says so; or the game is closed, which its page tells.
        return redirect(request, f"/play/{slug}?partner=true")
    response = redirect(request, f"/play/{slug}/live" if partner_id is None else f"/play/{slug}")
    if partner_id is not None:
        # After the commit, or the partner's page would look too early.
        response.background = BackgroundTask(signs.ring, partner_id)
    return response


@router.get("/play/{slug}/live")
def wait(
    request: Request, session: SessionDep, player: PlayerDep, account: AccountDep, slug: str
) -> Response:
    """The page on which one waits for a partner; to the round as soon as there is one."""
    study = studies.enter(session, slug, player=player, account=account)
    if live.has_round(session, player=player, study=study):
        return redirect(request, f"/play/{slug}")
    if is_htmx(request):
        return Response(status_code=204)  # nothing new: the page stays as it is
    waiting_s = live.waiting_s(session, player=player, study=study)
    return render(request, "play/waiting.html", WaitingContext(study, waiting_s))


@router.post("/play/{slug}/live/recorded")
def seek_recorded(
    request: Request, session: SessionDep, player: KnownPlayerDep, account: AccountDep, slug: str
) -> Response:
    """Nobody has come: with an earlier player's words, or alone where there are none."""
    study = studies.enter(session, slug, player=player, account=account)
    live.seek_recorded(session, player=player, study=study)
    return redirect(request, f"/play/{slug}")


@router.get("/live/events")
async def tell(signs: SignsDep, player: KnownPlayerDep) -> Response:
    """A sign whenever the player's partner has come, or has answered."""
    return watch(signs, player.id)
