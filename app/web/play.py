"""The game: landing page, rounds, answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import quote, urlencode
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask
from starlette.responses import Response

from app import rules
from app.concepts.cleaning import MAX_LABEL_CHARACTERS
from app.infra.errors import InvalidInputError
from app.models import Note, Player, Round, Study, StudyClass
from app.services import ledger, live, moderation, players, rounds, shown, studies, words
from app.services.live import Company
from app.services.players import Standing
from app.services.shown import Outcome
from app.services.signs import Signs
from app.web.deps import (
    AccountDep,
    DeviceDep,
    KnownPlayerDep,
    LimitsDep,
    Number,
    PlayerDep,
    RowNumber,
    SessionDep,
    SignsDep,
    StorageDep,
)
from app.web.pacing import IsBurstDep
from app.web.templating import is_htmx, redirect, render, render_part

router = APIRouter(default_response_class=Response)

CHOICE_KEYS = "1234567890qwertyuio"
"""Keys that choose an answer, in the order of the answers. N and M are taken: next, more."""

# A picture of a round never changes, and belongs to one player's browser.
_PICTURE_HEADERS = {"Cache-Control": "private, max-age=31536000, immutable"}

# Words that a player may report in a while: a few are a help, hundreds a way to tire moderators.
_REPORTS = 10
_REPORTS_IN_S = 3600

LabelForm = Annotated[list[str], Form()]


@dataclass(frozen=True, slots=True)
class HomeContext:
    """games: the studies whose game is open, newest first."""

    games: list[Study]


@dataclass(frozen=True, slots=True)
class RoundContext:
    """An open round, with what the player has chosen and typed so far.

    part: the template of the part, for the page that includes it. n_lit: steps of the reveal
    ladder that are lit, 1 to 6. taboo: words that earn nothing here. daily: of today's challenge.
    daily_next: it comes before today's challenge, which was asked for; partner_next: before a round
    with a partner. knows_game: the player has been through the introduction, or has skipped it.
    lesson: which round of the introduction it is, from 1; None for any other. company: who plays
    with the player, None for nobody. nothing: the player has said that there is nothing to name.
    n_news: points that came while the player was away. notes: notes from moderators that the player
    has not read yet. Nothing here tells the answer.
    """

    study: Study
    standing: Standing
    round_id: UUID
    n_lit: int
    choices: list[tuple[StudyClass, str]]
    taboo: list[str]
    daily: bool
    daily_next: bool
    partner_next: bool
    knows_game: bool
    lesson: int | None
    company: Company | None
    n_news: int
    notes: list[Note]
    part: str = "play/_round.html"
    chosen_id: int | None = None
    labels: list[str] = field(default_factory=list)
    nothing: bool = False
    message: str | None = None


@dataclass(frozen=True, slots=True)
class AheadContext:
    """The round that will most likely come next; None when there will be none."""

    round_id: UUID | None


@dataclass(frozen=True, slots=True)
class StageContext:
    """The lit picture of an open round with its ladder: see RoundContext."""

    round_id: UUID
    n_lit: int


@dataclass(frozen=True, slots=True)
class ResultContext:
    """A finished round with its answer. last_step: the reveal index the player had reached. daily:
    whether today's challenge goes on with the next round. lesson: see RoundContext. reported:
    whether the player has just reported a word."""

    study: Study
    standing: Standing
    round_id: UUID
    last_step: int
    outcome: Outcome
    daily: bool
    lesson: int | None
    badge_titles: dict[str, str]
    reported: bool
    part: str = "play/_result.html"


@dataclass(frozen=True, slots=True)
class DoneContext:
    """No map of the study is left for the player; daily: none of today's challenge. seen_all: they
    have been shown every map, or else those left have had their rounds. has_words: words of theirs
    count in it."""

    study: Study
    standing: Standing
    daily: bool = False
    seen_all: bool = True
    has_words: bool = False
    part: str = "play/_done.html"


@router.get("/")
def home(request: Request, session: SessionDep) -> Response:
    return render(request, "play/home.html", HomeContext(studies.list_open(session)))


@router.get("/play")
def choose_game(request: Request, session: SessionDep, player: PlayerDep) -> Response:
    games = studies.list_open(session, player=player)
    if len(games) == 1:
        return redirect(request, f"/play/{games[0].slug}")
    return render(request, "play/choose.html", HomeContext(games))


@router.get("/join/{token}")
def join(request: Request, session: SessionDep, player: PlayerDep, token: str) -> Response:
    """The link of an unlisted game: whoever opens it may play from then on."""
    study = studies.join(session, token=token, player=player)
    return redirect(request, f"/play/{study.slug}")


@router.get("/play/{slug}")
def play(
    request: Request,
    session: SessionDep,
    player: PlayerDep,
    account: AccountDep,
    slug: str,
    class_id: RowNumber | None = None,
    label: Annotated[list[str], Query()] = [],  # noqa: B006
    nothing: bool = False,
    partner: bool = False,
) -> Response:
    """The player's open round, or the next. `class_id`, `label` and `nothing` bring back what was
    chosen and typed before a reveal without scripts. partner: the round is in the way of one with a
    partner, which was asked for."""
    study = studies.enter(session, slug, player=player, account=account)
    round_ = rounds.deal(session, player=player, study=study)
    if round_ is None:
        done = DoneContext(
            study,
            players.standing(session, player),
            seen_all=rounds.has_seen_all(session, player=player, study=study),
            has_words=words.any_count_in(session, player.id, study_id=study.id),
        )
        return render_part(request, "play/page.html", done.part, done)
    context = _round_context(
        session,
        player,
        study,
        round_,
        chosen_id=class_id,
        labels=label,
        nothing=nothing,
        wants_partner=partner,
    )
    return render_part(request, "play/page.html", context.part, context)


@router.get("/play/{slug}/daily")
def play_daily(
    request: Request, session: SessionDep, player: PlayerDep, account: AccountDep, slug: str
) -> Response:
    """Today's challenge: the same maps for everybody."""
    study = studies.enter(session, slug, player=player, account=account)
    round_ = rounds.deal(session, player=player, study=study, daily=True)
    if round_ is None:
        done = DoneContext(study, players.standing(session, player), daily=True)
        return render_part(request, "play/page.html", done.part, done)
    context = _round_context(
        session, player, study, round_, chosen_id=None, labels=[], wants_daily=True
    )
    return render_part(request, "play/page.html", context.part, context)


@router.post("/play/{slug}/ahead")
def play_ahead(
    request: Request,
    session: SessionDep,
    player: KnownPlayerDep,
    account: AccountDep,
    slug: str,
    daily: bool = False,
) -> Response:
    """Have the next round's picture fetched while the player reads an answer."""
    study = studies.enter(session, slug, player=player, account=account)
    round_ = rounds.deal_ahead(session, player=player, study=study, daily=daily)
    context = AheadContext(round_.id if round_ else None)
    return render(request, "play/_ahead.html", context)


def _round_context(
    session: Session,
    player: Player,
    study: Study,
    round_: Round,
    *,
    chosen_id: int | None,
    labels: list[str],
    nothing: bool = False,
    message: str | None = None,
    wants_daily: bool = False,
    wants_partner: bool = False,
) -> RoundContext:
    keys = CHOICE_KEYS.ljust(len(study.classes))
    return RoundContext(
        study=study,
        standing=players.standing(session, player),
        round_id=round_.id,
        n_lit=round_.reveal_index + 1,
        choices=list(zip(study.classes, keys, strict=False)),
        taboo=round_.taboo,
        daily=round_.daily_on is not None,
        daily_next=wants_daily and round_.daily_on is None,
        partner_next=wants_partner and not round_.with_partner,
        knows_game=player.is_introduced,
        lesson=round_.lesson,
        company=live.company(session, round_),
        n_news=ledger.n_news(session, player.id),
        notes=moderation.unread_notes(session, player),
        chosen_id=chosen_id,
        labels=[text for text in labels if text.strip()][: rules.MAX_LABELS_PER_ROUND],
        nothing=nothing,
        message=message,
    )


@router.get("/rounds/{round_id}")
def show(
    request: Request,
    session: SessionDep,
    player: KnownPlayerDep,
    round_id: UUID,
    reported: bool = False,
    daily: bool = False,
) -> Response:
    """The answer to a finished round; an open one goes on where it is played. reported: whether the
    player has just reported a word. daily: whether today's challenge comes next."""
    round_ = rounds.get_round(session, round_id=round_id, player=player)
    if round_.is_open:
        return redirect(request, f"/play/{round_.cluster_map.image.study.slug}")
    return _result(request, session, player, round_, reported=reported, daily=daily)


def _result(
    request: Request,
    session: Session,
    player: Player,
    round_: Round,
    *,
    reported: bool = False,
    daily: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Response:
    context = ResultContext(
        study=round_.cluster_map.image.study,
        standing=players.standing(session, player),
        round_id=round_.id,
        last_step=round_.reveal_index,
        outcome=shown.outcome(session, round_),
        daily=daily or round_.daily_on is not None,
        lesson=round_.lesson,
        badge_titles={badge.key: badge.title for badge in rules.BADGES},
        reported=reported,
    )
    return render_part(request, "play/page.html", context.part, context, headers=headers)


def _answered(
    request: Request, session: Session, player: Player, signs: Signs, round_: Round, *, daily: bool
) -> Response:
    """The answer, after a guess or a resignation; a partner's page is told."""
    address = f"/rounds/{round_.id}" + ("?daily=true" if daily else "")
    if is_htmx(request):
        # The address of the answer, so that a reload shows it again.
        headers = {"HX-Push-Url": address}
        response = _result(request, session, player, round_, daily=daily, headers=headers)
    else:
        response = redirect(request, address)
    company = live.company(session, round_)
    if company is not None and not company.is_recorded:
        # After the commit, or the partner's page would look too early.
        response.background = BackgroundTask(signs.ring, company.player_id)
    return response


@router.post("/rounds/{round_id}/reveal")
def reveal(
    request: Request,
    session: SessionDep,
    player: KnownPlayerDep,
    round_id: UUID,
    from_step: Annotated[Number, Form()],
    class_id: Annotated[RowNumber | None, Form()] = None,
    label: LabelForm = [],  # noqa: B006
    nothing: Annotated[bool, Form()] = False,
) -> Response:
    round_ = rounds.reveal(session, round_id=round_id, player=player, from_index=from_step)
    if not round_.is_open:
        return redirect(request, f"/rounds/{round_id}")
    if is_htmx(request):
        context = StageContext(round_id=round_.id, n_lit=round_.reveal_index + 1)
        return render(request, "play/_stage.html", context)
    return _back_to(request, round_, class_id, label, nothing=nothing)


@router.post("/rounds/{round_id}/skip-introduction")
def skip_introduction(
    request: Request,
    session: SessionDep,
    player: KnownPlayerDep,
    round_id: UUID,
    class_id: Annotated[RowNumber | None, Form()] = None,
    label: LabelForm = [],  # noqa: B006
    nothing: Annotated[bool, Form()] = False,
) -> Response:
    """The player knows how to play: no lessons any more. The round goes on."""
    round_ = rounds.get_round(session, round_id=round_id, player=player)
    rounds.skip_introduction(session, player)
    if is_htmx(request):
        return Response(headers={"Cache-Control": "no-store"})  # in the place of the lesson
    return _back_to(request, round_, class_id, label, nothing=nothing)


def _back_to(
    request: Request,
    round_: Round,
    class_id: int | None,
    labels: list[str],
    *,
    nothing: bool,
) -> Response:
    """Back to an open round with what was chosen and typed, for a browser without scripts."""
    typed = [("label", text) for text in labels if text.strip()]
    chosen = [("class_id", str(class_id))] if class_id is not None else []
    said = [("nothing", "true")] if nothing else []
    query = urlencode(chosen + typed + said)
    address = f"/play/{round_.cluster_map.image.study.slug}"
    return redirect(request, f"{address}?{query}" if query else address)


@router.post("/rounds/{round_id}/guess")
def guess(
    request: Request,
    session: SessionDep,
    player: KnownPlayerDep,
    is_burst: IsBurstDep,
    device: DeviceDep,
    signs: SignsDep,
    round_id: UUID,
    class_id: Annotated[RowNumber | None, Form()] = None,
    label: LabelForm = [],  # noqa: B006
    nothing: Annotated[bool, Form()] = False,
    pasted: LabelForm = [],  # noqa: B006
    daily: Annotated[bool, Form()] = False,
) -> Response:
    """daily: whether the round was only in the way of today's challenge, which comes next."""
    try:
        if class_id is None:
            raise InvalidInputError(
                "Choose what you think it is, then guess. Your words are still here."
            )
        round_ = rounds.guess(
            session,
            round_id=round_id,
            player=player,
            class_id=class_id,
            labels=label,
            nothing_nameable=nothing,
            pasted=pasted,
            is_burst=is_burst,
            device=device,
        )
    except InvalidInputError as error:
        if is_htmx(request):
            raise
        return _guess_again(
            request,
            session,
            player,
            round_id,
            chosen_id=class_id,
            labels=label,
            nothing=nothing,
            message=error.message,
        )
    return _answered(request, session, player, signs, round_, daily=daily)


def _guess_again(
    request: Request,
    session: Session,
    player: Player,
    round_id: UUID,
    *,
    chosen_id: int | None,
    labels: list[str],
    nothing: bool,
    message: str,
) -> Response:
    """The round once more with what was typed, for a browser without scripts."""
    round_ = rounds.get_round(session, round_id=round_id, player=player)
    if not round_.is_open:
        return redirect(request, f"/rounds/{round_id}")
    study = studies.get(session, round_.cluster_map.image.study.slug)
    context = _round_context(
        session,
        player,
        study,
        round_,
        chosen_id=chosen_id,
        labels=labels,
        nothing=nothing,
        message=message,
    )
    return render(request, "play/page.html", context, status_code=InvalidInputError.status)


@router.post("/rounds/{round_id}/resign")
def resign(
    request: Request,
    session: SessionDep,
    player: KnownPlayerDep,
    signs: SignsDep,
    round_id: UUID,
    nothing: Annotated[bool, Form()] = False,
    daily: Annotated[bool, Form()] = False,
) -> Response:
    round_ = rounds.resign(session, round_id=round_id, player=player, nothing_nameable=nothing)
    return _answered(request, session, player, signs, round_, daily=daily)


@router.post("/rounds/{round_id}/report")
def report(
    request: Request,
    session: SessionDep,
    player: KnownPlayerDep,
    limits: LimitsDep,
    round_id: UUID,
    text: Annotated[str, Form(max_length=MAX_LABEL_CHARACTERS)],
) -> Response:
    """Tell moderators of a word that somebody else typed and that should not be there."""
    round_ = rounds.get_round(session, round_id=round_id, player=player)
    limits.take("report", str(player.id), n=_REPORTS, window_s=_REPORTS_IN_S)
    moderation.report(session, round_, text=text)
    return redirect(request, f"/rounds/{round_id}?reported=true")


@router.post("/play/{slug}/notes/{note_id}/read")
def acknowledge(
    request: Request,
    session: SessionDep,
    player: KnownPlayerDep,
    slug: str,
    note_id: RowNumber,
) -> Response:
    """The player has read a note from moderators."""
    moderation.acknowledge(session, player, note_id=note_id)
    return Response() if is_htmx(request) else redirect(request, f"/play/{quote(slug)}")


@router.get("/rounds/{round_id}/picture")
def picture(
    session: SessionDep, storage: StorageDep, player: KnownPlayerDep, round_id: UUID, step: Number
) -> Response:
    """The picture, black but for what a step of the reveal ladder (0 to 5) shows."""
    round_ = rounds.get_pictured(session, round_id=round_id, player=player)
    content = shown.picture(storage, round_, reveal_index=step)
    return Response(content, media_type="image/jpeg", headers=_PICTURE_HEADERS)


@router.get("/rounds/{round_id}/answer.jpg")
def answer(
    session: SessionDep,
    storage: StorageDep,
    player: KnownPlayerDep,
    round_id: UUID,
    heat: bool = False,
) -> Response:
    """The whole picture of a finished round, with or without the heat map."""
    round_ = rounds.get_pictured(session, round_id=round_id, player=player)
    content = shown.answer_picture(storage, round_, heat=heat)
    return Response(content, media_type="image/jpeg", headers=_PICTURE_HEADERS)
