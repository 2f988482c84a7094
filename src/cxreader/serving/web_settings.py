"""The settings of the HTTP door: where it listens, who may come in, how much at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from cxreader.errors import ConfigError
from cxreader.serving.roles import Role
from cxreader.serving.section import Section


def _network(text: str) -> str:
    ipaddress.ip_network(text)
    return text


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("give scheme and host alone, as https://triage.example.org")
    return f"{parts.scheme}://{parts.netloc}"


Network = Annotated[str, AfterValidator(_network)]


class OidcSection(Section):
    """Signing in by an OpenID Connect provider (authorization code with PKCE). Nobody without a role below may enter."""

    issuer: str = Field(description="The provider's address; its discovery document lies below it. Needed.")
    client_id: str = Field(description="The name of this service at the provider. Needed.")
    client_secret: SecretStr = Field(
        SecretStr(""),
        description="Its secret there; empty for a public client. Better in the environment than in the file.",
    )
    name_claim: str = Field("preferred_username", description="The claim that holds the user's name.")
    role_claim: str = Field("roles", description="The claim that holds a role or group, or a list of them.")
    roles: Mapping[str, Role] = Field({}, description="What each of those is here: reader, admin or auditor.")
    algorithms: tuple[str, ...] = Field(("RS256", "PS256", "ES256"), description="Signatures that are believed.")


class WebSection(Section):
    """The HTTP API, DICOMweb, FHIR and the pages."""

    enabled: bool = Field(True, description="`false` where another host of this service does it.")
    address: str = Field("127.0.0.1", description="Where it listens; beyond this machine only with TLS.")
    port: int = Field(8080, ge=1, le=65_535, description="Its port.")
    url: Annotated[str, AfterValidator(_origin)] | None = Field(
        None,
        description="How browsers reach it, as `https://triage.example.org`; needed beyond this machine. "
        "Requests to other hosts, and forms from other sites, are refused.",
    )
    certificate: Path | None = Field(None, description="TLS: the certificate and its chain, PEM.")
    key: Path | None = Field(None, description="TLS: the private key, PEM, readable by the service alone.")
    behind_proxy: bool = Field(
        False, description="A proxy in front speaks TLS, so that this may listen without; it needs `proxies`."
    )
    proxies: tuple[Network, ...] = Field(
        (), description="Addresses or networks of proxies whose `X-Forwarded-For` and `user_header` are believed."
    )
    user_header: str | None = Field(
        None, description="The header in which those proxies name who signed in there; off when left out."
    )
    idle: float = Field(30, gt=0, description="Minutes without a request after which a session ends.")
    longest: float = Field(720, gt=0, description="Minutes after which it ends in any case.")
    sign_ins: int = Field(10, ge=1, description="Attempts to sign in from one address, a minute.")
    uploads: int = Field(6_000, ge=1, description="Uploads of one user, a minute.")
    uploads_at_once: int = Field(24, ge=1, description="Uploads under way at once, at most; others are told to wait.")
    upload_mib: int = Field(1_024, ge=1, description="MiB of one upload, at most.")
    upload_files: int = Field(2_000, ge=1, description="Images in one upload, at most.")
    streams: int = Field(100, ge=0, description="Pages that follow the live events at once, at most.")
    oidc: OidcSection | None = None

    @property
    def secure(self) -> bool:
        """Whether browsers reach it by TLS."""
        return self.certificate is not None or self.behind_proxy or (self.url or "").startswith("https:")

    @property
    def origin(self) -> str:
        """How browsers reach it: scheme, host and port."""
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return self.url or f"{'https' if self.certificate else 'http'}://{shown}:{self.port}"


def check_web(web: WebSection) -> None:
    """Raise ConfigError for what would listen unprotected, or could not work."""
    if not web.enabled:
        return
    if (web.certificate is None) != (web.key is None):
        raise ConfigError("TLS needs both", where="web.certificate, web.key", mend="name the other file too")
    for name, path in (("web.certificate", web.certificate), ("web.key", web.key)):
        if path is not None and not path.is_file():
            raise ConfigError("there is no such file", where=name, mend="name a PEM file")
    if not _is_loopback(web.address) and web.certificate is None and not web.behind_proxy:
        mend = "set web.certificate and web.key, or web.behind_proxy = true where a proxy in front speaks TLS"
        raise ConfigError("would listen beyond this machine without TLS", where="web.address", mend=mend)
    if web.url is None and (not _is_loopback(web.address) or web.behind_proxy or web.oidc):
        raise ConfigError("is needed", where="web.url", mend="give the address that browsers use, https://HOST")
    if web.oidc is not None and not _is_protected(web.oidc.issuer):
        raise ConfigError("is no https:// address", where="web.oidc.issuer", mend="give the provider's own")
    if web.behind_proxy and not web.proxies:
        mend = "name the proxy's address in web.proxies"
        raise ConfigError("whoever comes through the proxy would share its limits", where="web.proxies", mend=mend)
    if web.user_header is not None and not web.proxies:
        raise ConfigError("nobody's header would be believed", where="web.user_header", mend="name web.proxies")


def _is_protected(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
