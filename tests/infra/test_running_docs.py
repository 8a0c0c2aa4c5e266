"""docs/running.md keeps up with the settings."""

from pathlib import Path

from app.infra.settings import Settings

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "running.md").read_text()


def test_every_setting_is_described() -> None:
    prefix = Settings.model_config["env_prefix"]
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias or f"{prefix}{name.upper()}"
        assert f"| `{variable}` |" in GUIDE
