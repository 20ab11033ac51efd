"""Every setting of the service, from the environment (prefix SEATWISE_) or a .env file.

Each name says its unit. The fine print of each is in `.env.example`, which a test compares with this class.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.core.durations import seconds_of

Network = IPv4Network | IPv6Network


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SEATWISE_", env_file=".env", extra="ignore", frozen=True)

    database_url: SecretStr | None = None
    data_dir: Path = Path("var")
    admin_key: SecretStr | None = None
    admin_email: str | None = None
    encryption_keys: SecretStr | None = None
    secrets_dir: Path = Path("/run/secrets")
    outbound_allow: Annotated[tuple[Network, ...], NoDecode] = ()
    public_url: str | None = None
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    integration_user: str = "saas-integration@localhost"

    oidc_issuer: str | None = None
    oidc_audience: str | None = None
    oidc_role_claim: str = Field(default="seatwise_role", min_length=1)
    key_rate_per_minute: int = Field(default=0, ge=0)

    smtp_url: SecretStr | None = None
    mail_from: str = Field(default="seatwise@localhost", pattern=r"^[^\r\n]*@[^\r\n]*$")

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] | None = None

    vendor_timeout_s: float = Field(default=30, gt=0)
    vendor_retry_s: float = Field(default=300, ge=0)
    rate_headroom_percent: int = Field(default=50, ge=0, le=95)
    lease_s: float = Field(default=20, ge=2)
    sync_concurrency: int = Field(default=8, ge=1)
    host_concurrency: int = Field(default=4, ge=1)
    database_pool_size: int = Field(default=10, ge=2)
    retention_days: int = Field(default=400, ge=1, le=36_500)

    webhook_retries: Annotated[tuple[float, ...], NoDecode] = (5, 300, 1800, 7200, 18000, 36000, 36000)
    webhook_timeout: float = Field(default=20, gt=0)

    @field_validator("admin_key")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]+", value.get_secret_value()):
            raise ValueError("a key has printable ASCII characters only, without spaces")
        return value

    @field_validator("public_url")
    @classmethod
    def _base_of_links(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise ValueError("type https://host or https://host/path")
        return value

    @field_validator("webhook_retries", mode="before")
    @classmethod
    def _waits(cls, value: object) -> object:
        """Seconds; typed as durations, comma-separated."""
        if isinstance(value, str):
            return tuple(seconds_of(part) for part in value.split(",") if part.strip())
        return value

    @field_validator("webhook_timeout", mode="before")
    @classmethod
    def _duration(cls, value: object) -> object:
        return seconds_of(value) if isinstance(value, str) else value

    @field_validator("outbound_allow", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip())
        return value

    @model_validator(mode="after")
    def _issuer_with_audience(self) -> Self:
        # Without an audience any token of the issuer would do, whatever application it was made for.
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("SEATWISE_OIDC_ISSUER and SEATWISE_OIDC_AUDIENCE are set together")
        return self

    @field_validator("smtp_url", mode="before")
    @classmethod
    def _mail_server(cls, value: object) -> object:
        if isinstance(value, str) and value and not value.startswith(("smtp://", "smtps://")):
            raise ValueError("type smtp://user:password@host:587?starttls=true, or smtps://…")
        return None if value == "" else value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator(
        "log_format",
        "database_url",
        "admin_key",
        "encryption_keys",
        "public_url",
        "admin_email",
        "oidc_issuer",
        "oidc_audience",
        mode="before",
    )
    @classmethod
    def _blank_is_unset(cls, value: object) -> object:
        return None if value == "" else value


@lru_cache(maxsize=1)
def settings() -> Settings:
    return Settings()
