"""The game: the rounds, rules and points of the pages, for programs."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app import rules
from app.models import Round, StudyClass
from app.services import boards, ledger, names, players, rounds, shown, studies
from app.services.boards import Period, Place
from app.web.api import game_shapes as shapes
from app.web.api.callers import PlayerAccountDep, PlayerDep
from app.web.api.shapes import JPEG
from app.web.deps import LimitsDep, Number, SessionDep, StorageDep, make_guest
from app.web.pacing import IsBurstDep

router = APIRouter(tags=["game"])

N_HISTORY: Final = 100


@router.post("/players", status_code=201, summary="Become a guest")
def create_player(request: Request, session: SessionDep, limits: LimitsDep) -> shapes.NewPlayer:
    """Makes a guest and its token, which later calls send along."""
    player, token = make_guest(request, session, limits)
    return shapes.NewPlayer(token=token, name=names.public_name(session, player.id))


@router.get("/games", summary="Which games are open")
def list_games(session: SessionDep) -> list[shapes.GameOut]:
    """The studies whose game is open to everybody, newest first."""
    return [
        shapes.GameOut(slug=study.slug, name=study.name, network=study.network.name)
        for study in studies.list_open(session)
    ]


@router.post(
    "/rounds",
    summary="Deal a round",
    responses={204: {"description": "The player has seen all there is."}},
    response_model=shapes.RoundOut,
)
def deal(
    session: SessionDep, player: PlayerDep, account: PlayerAccountDep, asked: shapes.Deal
) -> Any:
    """The player's open round in a study, or a new one. Asked twice, it is the same round."""
    study = studies.enter(session, asked.study, player=player, account=account)
    round_ = rounds.deal(session, player=player, study=study, daily=asked.daily)
    if round_ is None:
        return Response(status_code=204)
    return _round(session, rounds.get_round(session, round_id=round_.id, player=player))


@router.get("/rounds/{round_id}", summary="Look at a round")
def show(session: SessionDep, player: PlayerDep, round_id: UUID) -> shapes.RoundOut:
    """A round of the player, with its outcome once it is finished."""
    return _round(session, rounds.get_round(session, round_id=round_id, player=player))


@router.post("/rounds/{round_id}/reveal", summary="Show more")
def reveal(
    session: SessionDep, player: PlayerDep, round_id: UUID, asked: shapes.Reveal
) -> shapes.RoundOut:
    """Lights the next step of the picture. A right guess then earns less."""
    round_ = rounds.reveal(session, round_id=round_id, player=player, from_index=asked.from_index)
    return _round(session, round_)


@router.post("/rounds/{round_id}/guess", summary="Guess, and say what you saw")
def guess(
    session: SessionDep,
    player: PlayerDep,
    is_burst: IsBurstDep,
    round_id: UUID,
    asked: shapes.Guess,
) -> shapes.RoundOut:
    """Answers a round. A repeated guess returns the first answer and scores nothing twice."""
    round_ = rounds.guess(
        session,
        round_id=round_id,
        player=player,
        class_id=asked.class_id,
        labels=asked.labels,
        nothing_nameable=asked.nothing_nameable,
        is_burst=is_burst,
    )
    return _round(session, round_)


@router.post("/rounds/{round_id}/resign", summary="Give up")
def resign(
    session: SessionDep, player: PlayerDep, round_id: UUID, asked: shapes.Resign | None = None
) -> shapes.RoundOut:
    """Ends a round without a guess. On a finished one it changes nothing."""
    round_ = rounds.resign(
        session,
        round_id=round_id,
        player=player,
        nothing_nameable=asked is not None and asked.nothing_nameable,
    )
    return _round(session, round_)


@router.post(
    "/me/skip-introduction",
    summary="Skip the introduction",
    status_code=204,
    response_class=Response,
)
def skip_introduction(session: SessionDep, player: PlayerDep) -> None:
    """No lessons any more. A lesson under way goes on as a practice round like any other."""
    rounds.skip_introduction(session, player)


@router.get(
    "/rounds/{round_id}/picture",
    summary="The lit picture",
    responses=JPEG,
    response_class=Response,
)
def picture(
    session: SessionDep, storage: StorageDep, player: PlayerDep, round_id: UUID, step: Number
) -> Response:
    """The picture, black but for what a step (0 to the round's reveal_index) lights."""
    round_ = rounds.get_pictured(session, round_id=round_id, player=player)
    content = shown.picture(storage, round_, reveal_index=step)
    return Response(content, media_type="image/jpeg")


@router.get(
    "/rounds/{round_id}/answer.jpg",
    summary="The whole picture",
    responses=JPEG,
    response_class=Response,
)
def answer(
    session: SessionDep,
    storage: StorageDep,
    player: PlayerDep,
    round_id: UUID,
    heat: bool = False,
) -> Response:
    """The whole picture of a finished round; heat=true lays the heat map over it."""
    round_ = rounds.get_pictured(session, round_id=round_id, player=player)
    content = shown.answer_picture(storage, round_, heat=heat)
    return Response(content, media_type="image/jpeg")


@router.get("/me", summary="My points, level and badges")
def me(session: SessionDep, player: PlayerDep) -> shapes.Me:
    """What the player has earned so far."""
    standing = players.standing(session, player)
    return shapes.Me(
        name=names.public_name(session, player.id),
        points=standing.points,
        level=standing.level,
        next_level_at=standing.next_level_at,
        n_rounds=standing.n_rounds,
        n_right=standing.n_right,
        streak_days=standing.streak_days,
        badges=[b.key for b in rules.BADGES if b.key in ledger.badges(session, player.id)],
        n_news=ledger.n_news(session, player.id),
    )


@router.get("/me/points", summary="My points, and why")
def my_points(session: SessionDep, player: PlayerDep) -> list[shapes.Entry]:
    """The last hundred lines of the player's ledger, newest first."""
    return [
        shapes.Entry(
            reason=entry.reason,
            points=entry.points,
            detail=entry.detail,
            class_name=entry.class_name,
            round_id=entry.round_id,
            created_at=entry.created_at,
        )
        for entry in ledger.history(session, player.id, n=N_HISTORY)
    ]


@router.get("/boards/{period}", summary="A leaderboard")
def board(
    session: SessionDep,
    player: PlayerDep,
    account: PlayerAccountDep,
    period: Period,
    study: str | None = None,
) -> shapes.BoardOut:
    """Of today, this week or all time (days of UTC); of one study, or of all."""
    page = boards.read(
        session,
        period,
        study=studies.enter(session, study, player=player, account=account) if study else None,
        player_id=player.id,
    )

    def place(found: Place) -> shapes.PlaceOut:
        return shapes.PlaceOut(
            rank=found.rank,
            name=found.name,
            points=found.points,
            is_you=found.player_id == player.id,
        )

    return shapes.BoardOut(
        n_players=page.n_players,
        top=[place(one) for one in page.top],
        own=place(page.own) if page.own else None,
        around=[place(one) for one in page.around],
    )


def _round(session: Session, round_: Round) -> shapes.RoundOut:
    study = studies.get(session, round_.cluster_map.image.study.slug)
    return shapes.RoundOut(
        id=round_.id,
        study=study.slug,
        status=round_.status,
        reveal_index=round_.reveal_index,
        lit_percent=rules.REVEAL_PERCENTS[round_.reveal_index],
        points_for_right=rules.GUESS_POINTS[round_.reveal_index],
        choices=[_choice(one) for one in study.classes],
        taboo=round_.taboo,
        lesson=round_.lesson,
        picture_url=f"/api/v1/rounds/{round_.id}/picture?step={round_.reveal_index}",
        outcome=None if round_.is_open else _outcome(session, round_),
    )


def _choice(one: StudyClass) -> shapes.Choice:
    return shapes.Choice(id=one.id, name=one.name)


def _outcome(session: Session, round_: Round) -> shapes.OutcomeOut:
    found = shown.outcome(session, round_)
    return shapes.OutcomeOut(
        true_class=found.true_class,
        guessed_class=found.guessed_class,
        network_said=found.network_said,
        probability=found.probability,
        layer=found.layer_name,
        points=[
            shapes.Points(reason=one.reason, points=one.points, detail=one.detail)
            for one in found.points
        ],
        labels=[
            shapes.LabelOut(text=label, remark=found.remarks.get(label)) for label in found.labels
        ],
        labels_of_others=[
            shapes.OtherLabel(text=label, n_players=n) for label, n in found.labels_of_others
        ],
        nothing_nameable=found.nothing_nameable,
        n_nothing_of_others=found.n_nothing_of_others,
        practice_region=found.practice.region if found.practice else None,
        is_spare=found.is_spare,
        answer_url=f"/api/v1/rounds/{round_.id}/answer.jpg",
    )
