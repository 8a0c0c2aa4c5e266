"""Reading pages in tests."""

from html.parser import HTMLParser

from httpx import Response

_VOID = {"img", "input", "meta", "link", "br", "stop", "rect", "path", "circle", "ellipse"}


class _Part(HTMLParser):
    """Copies the element with an id, tags and text, white space made even."""

    def __init__(self, element_id: str) -> None:
        super().__init__()
        self.element_id = element_id
        self.depth = 0
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.depth or dict(attrs).get("id") == self.element_id:
            self.pieces.append(f"<{tag} {sorted(attrs, key=str)}>")
            self.depth += tag not in _VOID

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.depth:
            self.pieces.append(f"<{tag} {sorted(attrs, key=str)}/>")

    def handle_endtag(self, tag: str) -> None:
        if self.depth and tag not in _VOID:
            self.pieces.append(f"</{tag}>")
            self.depth -= 1

    def handle_data(self, data: str) -> None:
        if self.depth and data.strip():
            self.pieces.append(" ".join(data.split()))


def part(html: str, element_id: str) -> str:
    """The element with this id, in a form that can be compared. Empty when there is none."""
    parser = _Part(element_id)
    parser.feed(html)
    return "\n".join(parser.pieces)


def text_of(html: str) -> str:
    """The page's text, white space made even."""

    class Text(HTMLParser):
        words: list[str]

        def handle_data(self, data: str) -> None:
            self.words.append(data)

    parser = Text()
    parser.words = []
    parser.feed(html)
    return " ".join(" ".join(parser.words).split())


def is_sent_to_sign_in(answer: Response) -> bool:
    """Whether a stranger was asked to sign in instead of being shown or allowed anything."""
    return answer.status_code == 401 or answer.headers.get("location", "").startswith("/sign-in?")
