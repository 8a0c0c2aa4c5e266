"""From a template and its context to an answer."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app import rules
from app.concepts.cleaning import MAX_LABEL_CHARACTERS
from app.services.access import Level
from app.web import languages
from app.web.deps import SIGN_IN_COOKIE, Visitor

ROOT = Path(__file__).resolve().parents[2]
STATIC_FOLDERS = {
    "/static": ROOT / "static",
    "/lib/htmx": ROOT / "node_modules" / "htmx.org" / "dist",
}
"""Where files are served from, by the start of their address."""


_VARY = "HX-Request, Cookie, Accept-Language"


def is_htmx(request: Request) -> bool:
    """Whether a script asks for a part of the page."""
    return request.headers.get("HX-Request") == "true"


def render(
    request: Request,
    template: str,
    context: Any,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A template with a context, which is a dataclass that says what the template may use."""
    assert is_dataclass(context)
    values = {field.name: getattr(context, field.name) for field in fields(context)}
    body = _environment().get_template(template).render(values, request=request)
    response = HTMLResponse(body, status_code=status_code, headers=dict(headers or {}))
    response.headers["Vary"] = _VARY
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def render_part(
    request: Request,
    page: str,
    part: str,
    context: Any,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The part alone when HTMX asks, else the page, which includes that very part."""
    template = part if is_htmx(request) else page
    return render(request, template, context, status_code=status_code, headers=headers)


def redirect(request: Request, address: str) -> Response:
    """Send the browser to a page with GET; with HTMX the whole page, not the part."""
    response = RedirectResponse(address, status_code=303, headers={"Vary": _VARY})
    if is_htmx(request):
        # Quoted as there: headers hold no other letters than those of latin-1.
        return Response(headers={"HX-Redirect": response.headers["location"], "Vary": _VARY})
    return response


def _this_page(request: Request) -> str:
    """The address of a page, to come back to; the start page's where a form's answer is shown."""
    if request.method != "GET":
        return "/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _visitor(request: Request) -> Visitor | None:
    """Who is signed in, as far as the request came to ask: not where it was refused before."""
    found: Visitor | None = getattr(request.state, "visitor", None)
    return found


def _maybe_signed_in(request: Request) -> bool:
    """Whether somebody may be signed in whom nobody has asked for: on pages of refused requests."""
    return not hasattr(request.state, "visitor") and SIGN_IN_COOKIE in request.cookies


def _may_moderate(request: Request) -> bool:
    """Whether the visitor may moderate the study whose explanations they read."""
    return getattr(request.state, "level", Level.NONE) >= Level.MODERATE


def _may_own(request: Request) -> bool:
    """Whether the visitor may do all with the study whose explanations they read."""
    return getattr(request.state, "level", Level.NONE) >= Level.OWN


@cache
def static_url(path: str) -> str:
    """The address of a static file, `/static/css/base.css` say, with a hash of its content: a
    changed file has a new address, so browsers may keep the old one for good."""
    for prefix, folder in STATIC_FOLDERS.items():
        if path.startswith(f"{prefix}/"):
            content = (folder / path.removeprefix(f"{prefix}/")).read_bytes()
            return f"{path}?v={hashlib.sha256(content).hexdigest()[:12]}"
    raise ValueError(f"not a static file's address: {path}")


def plain_name(name: str) -> str:
    """A class or file name as people write it: `electric_guitar` is "electric guitar"."""
    return name.replace("_", " ")


def percent(value: float) -> str:
    """A percentage with as many digits as help: 4.5 %, 13 %, 0.4 %, < 0.1 %, > 99.9 %."""
    if 0 < value < 0.05:
        sign, value = "< ", 0.1
    elif 99.95 <= value < 100:
        sign, value = "> ", 99.9
    else:
        sign = ""
    return f"{sign}{languages.number(float(f'{value:.1f}'))}\u202f%"


def signed(value: float) -> str:
    """A change with its sign and two digits: +0.03, −0.10, 0.00."""
    text = decimal(value)
    return f"+{text}" if value > 0 and float(text) else text


def decimal(value: float) -> str:
    """A number with two digits, and a minus that looks like one: 0.15, −0.10, 0.00."""
    text = f"{abs(value):.2f}"
    return f"\u2212{text}" if value < 0 and float(text) else text


def duration(seconds: float) -> str:
    """A length of time in words: 40 seconds, 12 minutes, 3.5 hours."""
    if seconds < 1.5:
        return "1 second"
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def told(value: Any) -> str:
    """A value of the audit log as people write it: yes, nothing, a list with commas; of several
    values in one those that say something."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(told, value)) or "none"
    if isinstance(value, Mapping):
        said = {key: one for key, one in value.items() if one is not None and one != []}
        return "; ".join(f"{plain_name(key)}: {told(one)}" for key, one in said.items()) or "none"
    return str(value)


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 round, 2 rounds, 1,353 pictures."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    # Line breaks in a template are no part of a message.
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        languages.translated, languages.translated_plural, newstyle=True
    )
    environment.filters.update(
        plain_name=plain_name,
        percent=percent,
        signed=signed,
        decimal=decimal,
        duration=duration,
        counted=counted,
        told=told,
        number=languages.number,
        day=languages.day,
        moment=languages.moment,
    )
    environment.globals.update(
        static_url=static_url,
        language=languages.language,
        languages=languages.languages().items(),
        is_translated=languages.is_translated,
        told_in_language=languages.translated,
        this_page=_this_page,
        is_studio=lambda request: request.url.path.startswith(languages.STUDIO),
        visitor=_visitor,
        in_studio=lambda request: bool((who := _visitor(request)) and who.in_studio),
        maybe_signed_in=_maybe_signed_in,
        may_moderate=_may_moderate,
        may_own=_may_own,
        stylesheets=_stylesheets(),
        studio_stylesheets=_in_folder("studio"),
        reveal_percents=rules.REVEAL_PERCENTS,
        guess_points=rules.GUESS_POINTS,
        n_lessons=rules.INTRODUCTION_ROUNDS,
        met_points=rules.MET_POINTS,
        live_wait_s=rules.LIVE_WAIT_S,
        max_labels=rules.MAX_LABELS_PER_ROUND,
        max_label_characters=MAX_LABEL_CHARACTERS,
    )
    return environment


def _stylesheets() -> list[str]:
    """From general to specific: what comes later may overrule what came before."""
    general = [f"/static/css/{name}.css" for name in ("tokens", "base", "layout")]
    return general + _in_folder("blocks")


def _in_folder(name: str) -> list[str]:
    """The style sheets of a folder. Those of `studio` go to its pages alone: players, often on a
    phone, need none of them."""
    files = sorted((ROOT / "static" / "css" / name).glob("*.css"))
    return [f"/static/css/{name}/{file.name}" for file in files]
