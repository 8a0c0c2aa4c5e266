"""The least that a labelling game can be on the same libraries: the floor of play.py.

A player by a cookie, some map, a round, two words, points in a column; a page by a template. No
ledger, boards, badges, practice, places, remarks, languages, nor anything else that makes a game of
it, and nothing that two tabs or two players at once could not disturb.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Cookie, Depends, FastAPI, Form, Response
from jinja2 import Environment
from sqlalchemy import Engine, ForeignKey, create_engine, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

N_MAPS = 600


class Base(DeclarativeBase):
    pass


class Player(Base):
    __tablename__ = "skeleton_players"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    points: Mapped[int] = mapped_column(default=0)


class Map(Base):
    __tablename__ = "skeleton_maps"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    class_id: Mapped[int]


class Round(Base):
    __tablename__ = "skeleton_rounds"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    player_id: Mapped[UUID] = mapped_column(ForeignKey(Player.id))
    map_id: Mapped[UUID] = mapped_column(ForeignKey(Map.id))
    is_right: Mapped[bool] = mapped_column(default=False)


class Label(Base):
    __tablename__ = "skeleton_labels"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    round_id: Mapped[UUID] = mapped_column(ForeignKey(Round.id))
    text: Mapped[str]


ROUND_PAGE = Environment(autoescape=True).from_string(
    """
    <h1>{{ player.points }} points</h1>
    <form method="post" action="/rounds/{{ round.id }}/guess">
        <input type="radio" name="class_id" value="1">
        <input type="radio" name="class_id" value="2">
        <input name="label"> <input name="label"> <button>Guess</button>
    </form>
    """
)
ANSWER_PAGE = Environment(autoescape=True).from_string(
    "<h1>{{ player.points }} points</h1> {{ round.is_right }} {{ labels | join(', ') }}"
)


def fill(engine: Engine) -> None:
    """Make the tables, and maps to be dealt."""
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        rows = [{"id": uuid4(), "class_id": 1 + n % 2} for n in range(N_MAPS)]
        connection.execute(insert(Map), rows)


@lru_cache(maxsize=1)
def get_engine() -> Engine:
    return create_engine(os.environ["DATABASE_URL"], pool_pre_ping=True)


def get_session() -> Iterator[Session]:
    with Session(get_engine()) as session:
        yield session
        session.commit()


SessionDep = Annotated[Session, Depends(get_session, scope="function")]
PlayerCookie = Annotated[UUID | None, Cookie()]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    get_engine().dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/play/{slug}")
def deal(session: SessionDep, slug: str, player: PlayerCookie = None) -> Response:
    found = session.get(Player, player) if player else None
    if found is None:
        found = Player()
        session.add(found)
        session.flush()
    after = select(Map.id).order_by(Map.id).limit(1)
    dealt = session.scalar(after.where(Map.id > uuid4())) or session.scalars(after).one()
    round_ = Round(player_id=found.id, map_id=dealt)
    session.add(round_)
    session.flush()
    response = Response(ROUND_PAGE.render(player=found, round=round_), media_type="text/html")
    response.set_cookie("player", str(found.id))
    return response


@app.post("/rounds/{round_id}/guess")
def guess(
    session: SessionDep,
    round_id: UUID,
    class_id: Annotated[int, Form()],
    label: Annotated[list[str], Form()],
    player: PlayerCookie = None,
) -> Response:
    found = session.get_one(Player, player)
    round_ = session.get_one(Round, round_id)
    round_.is_right = session.get_one(Map, round_.map_id).class_id == class_id
    session.add_all(Label(round_id=round_id, text=text) for text in label)
    found.points += 10 * round_.is_right + len(label)
    session.flush()
    page = ANSWER_PAGE.render(player=found, round=round_, labels=label)
    return Response(page, media_type="text/html")
