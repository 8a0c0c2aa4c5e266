"""Players' pages in the visitor's language."""

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.models import Image, Player, Study
from app.web.languages import FOLDER, LANGUAGE_COOKIE
from scripts.catalogues import Message, messages
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


def test_the_studio_stays_english(researcher: TestClient) -> None:
    assert '<html lang="en">' in researcher.get("/studio", headers=ITALIAN).text
