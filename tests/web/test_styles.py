"""The style sheets, which a page loads all at once."""

import re
from collections import defaultdict
from pathlib import Path

CSS = Path(__file__).resolve().parents[2] / "static" / "css"
# On paper blocks look otherwise; that sheet is made of what others have.
SHEETS = [path for path in sorted(CSS.rglob("*.css")) if path.name != "print.css"]


def selectors(sheet: Path) -> set[str]:
    """The selectors of a sheet's rules, whatever layer or medium they stand in."""
    rules = re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL)
    heads = re.findall(r"([^{};]+)\{", rules)
    return {one.strip() for head in heads for one in re.split(r",(?![^(]*\))", head)}


def test_what_is_styled_in_one_sheet_is_styled_in_no_other() -> None:
    """Two blocks of one name would change each other's looks on pages that nobody looked at."""
    styled_in = defaultdict(list)
    for sheet in SHEETS:
        for selector in selectors(sheet):
            if selector.startswith("."):
                styled_in[selector].append(sheet.relative_to(CSS).as_posix())
    assert len(styled_in) > 300, "the sheets were not read"
    assert {name: sheets for name, sheets in styled_in.items() if len(sheets) > 1} == {}
