"""Bring the catalogues of all languages up to date with what players' pages say.

    python scripts/catalogues.py         # new messages come in without a translation
    python scripts/catalogues.py --new de

Then fill in what is empty in `locale/<language>/LC_MESSAGES/messages.po`. A test fails while
anything is.
"""

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from app import rules
from app.services.studies import NOT_OPEN
from app.web.languages import FOLDER

ROOT = Path(__file__).resolve().parents[1]

TEMPLATES = ("accounts", "boards", "play", "profile")
MORE_TEMPLATES = ("base.html", "error.html", "_alert.html", "macros/forms.html")

SENTENCES = (
    "app/services/access.py: require",
    "app/services/accounts.py",
    "app/services/live.py",
    "app/services/moderation.py: check_may_play report",
    "app/services/rounds.py",
    "app/services/shown.py",
    "app/services/studies.py: join enter",
    "app/web/deps.py",
    "app/web/errors.py",
    "app/web/play.py",
    "app/web/profile.py",
    "app/web/security.py",
)
"""Modules whose errors players may read; behind a colon, the functions where it is only those."""

FUNCTIONS = ("_", "gettext", "ngettext")

Message = str | tuple[str, str]
"""A message, or one and many of something."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--new", metavar="CODE", help="add a language, de say")
    options = parser.parse_args()
    if options.new:
        path = FOLDER / options.new / "LC_MESSAGES" / "messages.po"
        path.parent.mkdir(parents=True)
        write(path, Catalog(locale=options.new))
    for path in sorted(FOLDER.glob("*/LC_MESSAGES/messages.po")):
        with path.open("rb") as file:
            write(path, read_po(file, locale=path.parents[1].name))


def write(path: Path, known: Catalog) -> None:
    """A catalogue of all messages there are, with the translations that are known."""
    catalogue = Catalog(
        locale=known.locale,
        header_comment="# What players' pages say. Brought up to date by scripts/catalogues.py.",
        project="Layerplay",
        version="1",
        msgid_bugs_address="the project's issues",
        last_translator="the project",
        language_team="the project",
        creation_date=known.creation_date,
        revision_date=known.creation_date,
        fuzzy=False,
    )
    for message in messages():
        found = known.get(message if isinstance(message, str) else message[0])
        catalogue.add(message, found.string if found else "")
    with path.open("wb") as file:
        write_po(file, catalogue, width=100)


def messages() -> list[Message]:
    """Everything that players' pages say, in English, each once."""
    return list(dict.fromkeys([*_in_templates(), *_in_rules(), *_in_errors()]))


def _in_templates() -> Iterator[Message]:
    templates = ROOT / "templates"
    paths = [path for name in TEMPLATES for path in sorted((templates / name).glob("*.html"))]
    options = {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}
    for path in [*paths, *(templates / name for name in MORE_TEMPLATES)]:
        with path.open("rb") as file:
            for _, function, found, _ in babel_extract(file, FUNCTIONS, (), options):
                first, *others = (found,) if isinstance(found, str) else found or (None,)
                # What is not written down there, a badge's title say, comes from the rules.
                if first is not None:
                    yield (first, others[0]) if function == "ngettext" else first


def _in_rules() -> Iterator[Message]:
    for badge in rules.BADGES:
        yield badge.title
        yield badge.rule
    yield from NOT_OPEN.values()
    yield from ("player", "researcher", "admin")


def _in_errors() -> Iterator[Message]:
    for sentences in SENTENCES:
        path, _, functions = sentences.partition(":")
        module = ast.parse((ROOT / path).read_text())
        parts: list[ast.AST] = [module]
        if functions:
            found = {one.name: one for one in module.body if isinstance(one, ast.FunctionDef)}
            parts = [found[name] for name in functions.split()]
        for node in (node for part in parts for node in ast.walk(part)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error"):
                for argument in node.args:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield argument.value


if __name__ == "__main__":
    main()
