"""Imports point one way: the science knows no database, the services no web."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PURE = {"app.explain", "app.concepts", "app.picturebook", "app.rules", "app.formats"}
# What each part may import of our own code, besides itself.
ALLOWED: dict[str, set[str]] = {
    **{part: set() for part in PURE},
    # The picture book is a world for the explanations: it trains a network that they load, and its
    # simulated players know the game's rules.
    "app.picturebook": {"app.explain", "app.rules"},
    "app.infra": set(),
    "app.models": PURE,
    "app.services": PURE | {"app.infra", "app.models"},
    "app.web": PURE | {"app.infra", "app.models", "app.services"},
    "app.installation": PURE | {"app.infra", "app.models", "app.services"},
    "app.terminal": PURE | {"app.infra", "app.models", "app.services", "app.installation"},
    "app.cli": PURE
    | {"app.infra", "app.models", "app.services", "app.installation", "app.terminal", "app.demo"},
    "app.demo": PURE
    | {"app.infra", "app.models", "app.services", "app.installation", "app.terminal"},
    "workers": PURE | {"app.infra", "app.models", "app.services"},
}
FOREIGN_TO_THE_SCIENCE = {
    "sqlalchemy",
    "fastapi",
    "celery",
    "redis",
    "psycopg",
    "pydantic_settings",
}
FILES = sorted(
    path.relative_to(ROOT)
    for folder in ("app", "workers")
    for path in (ROOT / folder).rglob("*.py")
    if path != ROOT / "app" / "__init__.py"
)


def part_of(module: str) -> str:
    """The part of the code that a module belongs to: `app.explain.layers` is in `app.explain`."""
    names = module.split(".")
    return names[0] if names[0] == "workers" else ".".join(names[:2])


def imports(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "app":
                found |= {f"app.{alias.name}" for alias in node.names}
            else:
                found.add(node.module)
    return found


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_imports_only_what_lies_left_of_it(path: Path) -> None:
    own = part_of(".".join(path.with_suffix("").parts))
    ours = {m for m in imports(path) if m.split(".")[0] in ("app", "workers")}
    wrong = {m for m in ours if part_of(m) != own and part_of(m) not in ALLOWED[own]}
    assert not wrong, f"{path} must not import {sorted(wrong)}"


@pytest.mark.parametrize(
    "path", [p for p in FILES if part_of(".".join(p.with_suffix("").parts)) in PURE], ids=str
)
def test_the_science_knows_no_database_and_no_web(path: Path) -> None:
    assert not {m.split(".")[0] for m in imports(path)} & FOREIGN_TO_THE_SCIENCE


def test_services_and_workers_name_the_same_jobs() -> None:
    """A service asks for a job by name; a name that no worker knows would wait for ever."""
    asked = {
        node.args[1].value
        for path in FILES
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "enqueue"
        and isinstance(node.args[1], ast.Constant)
    }
    known = {
        keyword.value.value
        for path in FILES
        if path.parts[0] == "workers"
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "task"
        for keyword in node.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    }
    assert asked
    assert asked <= known
