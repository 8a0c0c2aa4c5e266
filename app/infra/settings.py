"""The settings of an installation: one typed object, read from the environment."""

import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.infra.storage import Storage

_SECRETS: Final = {"secret_key", "metrics_token"}
_MASK: Final = "••••"


@dataclass(frozen=True, slots=True)
class SettingNow:
    """A setting: the environment variable that sets it, its value without what is secret, whether
    the environment has set it, and what it is for."""

    variable: str
    value: str
    is_set: bool
    description: str


def _shown(name: str, value: object) -> str:
    """A value as people may see it: neither a key nor a password of an address."""
    if value is None:
        return "none"
    if name in _SECRETS:
        return _MASK
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if "://" in text:
        # From the first colon after the scheme to the last @: passwords may hold either.
        return re.sub(r"(://[^:@/]*):.*@", rf"\1:{_MASK}@", text)
    return text


class Settings(BaseSettings):
    """Every setting with its default. Each is an environment variable of the same name in upper
    case, after `LAYERPLAY_`; the two service addresses go by their usual names, `DATABASE_URL` and
    `REDIS_URL`."""

    model_config = SettingsConfigDict(env_prefix="LAYERPLAY_", populate_by_name=True)

    home: Path = Field(
        Path("var"), description="Folder of the embedded engines, the stored files and the logs."
    )
    database_url: str | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="Address of PostgreSQL; none starts the embedded one.",
    )
    redis_url: str | None = Field(
        None,
        validation_alias="REDIS_URL",
        description="Address of Redis; none starts the embedded one.",
    )
    storage_dir: Path | None = Field(
        None, description="Folder for pictures, weights and maps; `storage` in `home` by default."
    )
    storage_url: str | None = Field(
        None,
        description="Bucket for these files instead, `s3://bucket/prefix`, which several machines "
        "can share; the folder then holds copies of what was read.",
    )
    storage_cache_gb: int = Field(
        20, ge=1, description="Most that is kept in the folder as copies from the bucket, in GB."
    )
    host: str = Field("127.0.0.1", description="Address on which the web server listens.")
    port: int = Field(8000, description="Port on which the web server listens.")
    secure_cookies: bool = Field(
        False, description="Send cookies over HTTPS only; set it wherever the site has HTTPS."
    )
    secret_key: str | None = Field(
        None,
        description="Key for signing and for pseudonyms; made once and kept in `home` by default.",
    )
    sentence_model: str = Field(
        "packaged",
        description="Sentence-BERT model: `packaged`, or any sentence-transformers name or folder.",
    )
    concept_recipe: Literal["layerplay", "paper"] = Field(
        "layerplay",
        description=(
            "How labels become concepts and how these are scored: our recipe, or that of Bianchi "
            "et al. 2024."
        ),
    )
    site_address: str | None = Field(
        None,
        description="Address of the site as people type it, for links in e-mails; "
        "that of the web server by default.",
    )
    smtp_url: str | None = Field(
        None,
        description="Mail server, `smtps://user:password@host` or `smtp://host:587` with STARTTLS; "
        "none writes e-mails to the worker's log.",
    )
    mail_from: str = Field("Layerplay <layerplay@localhost>", description="Sender of the e-mails.")
    log_format: Literal["text", "json"] = Field(
        "text", description="Lines for people, or one JSON object a line."
    )
    metrics_token: str | None = Field(
        None,
        description="Password (bearer token) with which Prometheus reads `/metrics`; "
        "without one there is no such page.",
    )
    data_licence: str = Field(
        "unknown",
        description="Licence of exported data, such as cc-by-4.0; an export may name its own.",
    )
    max_picture_mb: int = Field(30, ge=1, description="Largest picture file taken, in megabytes.")
    max_upload_mb: int = Field(
        4000, ge=1, description="Most that is taken in one upload to the studio, in megabytes."
    )
    max_pictures: int = Field(20_000, ge=1, description="Most pictures that a study may have.")

    def described(self) -> list["SettingNow"]:
        """Every setting with its value now, as people may see it."""
        return [
            SettingNow(
                variable=str(field.validation_alias or f"LAYERPLAY_{name.upper()}"),
                value=_shown(name, getattr(self, name)),
                is_set=name in self.model_fields_set,
                description=field.description or "",
            )
            for name, field in type(self).model_fields.items()
        ]

    @property
    def storage_path(self) -> Path:
        return self.storage_dir or self.home / "storage"

    def open_storage(self) -> Storage:
        """This installation's files: in the folder, or in the bucket with copies in the folder.
        ValueError for an address that is none, or when the bucket's library is missing."""
        if not self.storage_url:
            return Storage(self.storage_path)
        from app.infra.bucket import BucketStorage

        max_bytes = self.storage_cache_gb * 1_000_000_000
        return BucketStorage(self.storage_url, self.storage_path, max_bytes=max_bytes)

    @property
    def secret_file(self) -> Path | None:
        """Where the installation's key lies; None when the environment holds it."""
        return None if self.secret_key else self.home / "secret_key"

    @property
    def site(self) -> str:
        """The start of every link that leaves the site. Never taken from a request: whoever asks
        for a link could have it point to a site of theirs."""
        return (self.site_address or f"http://{self.host}:{self.port}").rstrip("/")

    def secret(self) -> bytes:
        """The installation's key. Made on first use, so that a demo needs no set-up."""
        if self.secret_key:
            return self.secret_key.encode()
        path = self.home / "secret_key"
        if not path.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(f".{secrets.token_hex(4)}")
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_hex(32))
            try:
                # A hard link fails when another process was first; its key is then the key.
                path.hardlink_to(fresh)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return path.read_text().encode()


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
