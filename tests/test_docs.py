"""What the documentation promises is there."""

import doctest
import re
from pathlib import Path

import pytest

from app.infra.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_setting_is_described_and_no_other() -> None:
    described = set(
        re.findall(r"^\| `((?:LAYERPLAY_|DATABASE_|REDIS_)\w+)`", read("running"), re.MULTILINE)
    )
    settings = {
        str(field.validation_alias or f"LAYERPLAY_{name.upper()}")
        for name, field in Settings.model_fields.items()
    }
    # Read by the demo itself, before there are settings.
    assert described - {"LAYERPLAY_NO_BROWSER"} == settings


def read(page: str) -> str:
    return (ROOT / "docs" / f"{page}.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", ["global", "bias", "local"])
def test_worked_examples_come_out_as_written(page: str) -> None:
    failed, tried = doctest.testfile(
        str(ROOT / "docs" / "algorithms" / f"{page}.md"), module_relative=False
    )
    assert tried >= 3
    assert failed == 0
