"""Players' pages in the visitor's language."""

import re
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from babel.messages.pofile import read_po
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.infra.errors import AppError, ConflictError
from app.models import Image, Player, Restriction, Study
from app.services import rounds
from app.web.languages import FOLDER, LANGUAGE_COOKIE, translated
from scripts.catalogues import Message, messages
from tests.factories import make_account
from tests.web.reading import text_of

CATALOGUES = sorted(FOLDER.glob("*/LC_MESSAGES/messages.po"))
ITALIAN = {"Accept-Language": "it-CH,it;q=0.9,en;q=0.8"}


def parts(message: str) -> list[str]:
    """What a translation must keep: what is filled in, and tags."""
    return sorted(re.findall(r"%\(\w+\)s|</?\w+[^>]*>", message))


def forms(message: Message | tuple[str, ...] | list[str]) -> list[str]:
    return [message] if isinstance(message, str) else list(message)


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parents[1].name)
def test_a_catalogue_has_all_that_pages_say_and_nothing_else(path: Path) -> None:
    with path.open("rb") as file:
        catalogue = read_po(file, locale=path.parents[1].name)
    wanted = messages()
    assert len(wanted) > 300, "messages are found"
    for message in wanted:
        found = catalogue.get(forms(message)[0])
        assert found is not None, f"{message} is missing: run scripts/catalogues.py"
        assert all(forms(found.string)), f"{message} is not translated"
        if isinstance(message, str):
            assert parts(str(found.string)) == parts(message), message
        else:
            # "another one" has no number in it.
            allowed = set(parts(message[1]))
            assert all(set(parts(form)) <= allowed for form in forms(found.string)), message
    assert len(catalogue) == len(wanted), "run scripts/catalogues.py"
    assert not any(one.fuzzy for one in catalogue if one.id)


def test_the_browser_says_which_language(client: TestClient, study: Study) -> None:
    page = client.get("/", headers=ITALIAN)
    assert '<html lang="it">' in page.text
    assert "Che cosa sta guardando la rete?" in text_of(page.text)
    assert "Accept-Language" in page.headers["vary"]
    for strange in ("", "de", "it;q=0, en", ";;q=x,,"):
        page = client.get("/", headers={"Accept-Language": strange})
        assert '<html lang="en">' in page.text


def test_a_choice_comes_before_it_and_leads_back(client: TestClient, study: Study) -> None:
    answer = client.post("/language", data={"language": "en", "next": f"/play/{study.slug}?x=1"})
    assert answer.headers["location"] == f"/play/{study.slug}?x=1"
    assert client.cookies[LANGUAGE_COOKIE] == "en"
    assert '<html lang="en">' in client.get("/", headers=ITALIAN).text


@pytest.mark.parametrize("language", ["xx", "../it", ""])
def test_an_unknown_language_is_refused(client: TestClient, language: str) -> None:
    answer = client.post("/language", data={"language": language})
    assert answer.status_code == 422
    assert LANGUAGE_COOKIE not in client.cookies


def test_it_leads_to_no_other_site(client: TestClient) -> None:
    for address in ("https://elsewhere.example", "//elsewhere.example"):
        answer = client.post("/language", data={"language": "it", "next": address})
        assert answer.headers["location"] == "/"


def test_a_script_is_led_back_to_an_address_in_any_letters(client: TestClient) -> None:
    form = {"language": "it", "next": "/ж?q=è"}
    answer = client.post("/language", data=form, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert answer.headers["HX-Redirect"] == "/%D0%B6?q=%C3%A8"


def test_a_round_and_its_errors_are_in_it(
    client: TestClient, session: Session, player: Player, study: Study, image: Image
) -> None:
    client.cookies.set(LANGUAGE_COOKIE, "it")
    page = client.get(f"/play/{study.slug}").text
    assert "È illuminato il 2 % dell’immagine." in text_of(page)
    assert "Poi: 4,5 %." in text_of(page)
    round_id = re.search(r"/rounds/([0-9a-f-]{36})/guess", page)
    assert round_id is not None
    said = client.post(f"/rounds/{round_id[1]}/guess", headers={"HX-Request": "true"}).text
    assert "Scegli che cosa pensi che sia, poi rispondi." in text_of(said)
    client.post(f"/rounds/{round_id[1]}/resign")
    assert "Arrendersi non costa nulla." in text_of(client.get(f"/rounds/{round_id[1]}").text)
    assert "Livello 1" in text_of(client.get("/me").text)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": "ADA", "password": "a slow green river"}, "Il nome “ADA” è già preso."),
        ({"name": "Ben", "password": "short"}, "Una password ha da 10 a 200 caratteri."),
    ],
)
def test_an_error_with_a_name_or_number_in_it_is_in_it(
    client: TestClient, session: Session, form: dict[str, str], said: str
) -> None:
    make_account(session, name="Ada")
    session.commit()
    assert said in text_of(client.post("/sign-up", data=form, headers=ITALIAN).text)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["x" * 61], "Ogni voce ha al massimo 60 caratteri"),
        ([f"{letter} sail" for letter in "abcdef"], "Al massimo 5 parole"),
    ],
)
def test_so_is_what_is_wrong_with_words(
    client: TestClient,
    session: Session,
    player: Player,
    study: Study,
    image: Image,
    labels: list[str],
    said: str,
) -> None:
    round_ = rounds.deal(session, player=player, study=study)
    assert round_ is not None
    session.commit()
    form = {"class_id": image.class_id, "label": labels}
    answer = client.post(f"/rounds/{round_.id}/guess", data=form, headers=ITALIAN)
    assert said in text_of(answer.text)


def test_so_are_links_that_lead_nowhere_reports_and_bans(
    client: TestClient, session: Session, player: Player, study: Study, image: Image
) -> None:
    def said(answer: httpx.Response) -> str:
        return text_of(answer.text)

    client.headers.update(ITALIAN)
    assert "Questo link non è valido, o non lo è più." in said(client.get("/join/nowhere"))
    assert "Un tale studio non esiste." in said(client.get("/play/nowhere"))
    round_ = rounds.deal(session, player=player, study=study)
    assert round_ is not None
    session.commit()
    report = f"/rounds/{round_.id}/report"
    assert "quando il tuo turno è finito" in said(client.post(report, data={"text": "sail"}))
    rounds.resign(session, round_id=round_.id, player=player)
    session.commit()
    assert "Nessuno l’ha scritto qui" in said(client.post(report, data={"text": "sail"}))
    session.add(
        Restriction(study_id=study.id, player_id=player.id, kind="banned", since=datetime.now(UTC))
    )
    session.commit()
    page = said(client.get(f"/play/{study.slug}"))
    assert "Non puoi continuare a giocare a “Boats and kites”" in page


def test_the_sentence_itself_is_english_and_what_is_filled_in_is_no_template() -> None:
    error = ConflictError("The name “%(name)s” is taken. Choose another.", name="%(x)s<b>")
    assert error.message == str(error) == "The name “%(x)s<b>” is taken. Choose another."
    assert translated(error.message) == error.message
    assert AppError("100 % of it").message == "100 % of it"


def test_the_studio_stays_english(researcher: TestClient) -> None:
    assert '<html lang="en">' in researcher.get("/studio", headers=ITALIAN).text
