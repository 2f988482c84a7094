"""The settings of the service: `serve.toml` in its home, and `CXREADER_SERVE_...` in the environment, which comes first."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from cxreader.codec import in_words
from cxreader.config_errors import explained
from cxreader.errors import ConfigError, nearest
from cxreader.inference.triage import ALARM, IN_DOUBT, NORMAL, UNANSWERED
from cxreader.serving.order.places import Waits
from cxreader.serving.section import Section
from cxreader.serving.web_settings import WebSection
from cxreader.serving.zone import SiteZone

FILE, PREFIX = "serve.toml", "CXREADER_SERVE_"


def _zone(name: str) -> str:
    return SiteZone(name).name


Minutes = Annotated[float, Field(gt=0)]


class WorklistSection(Section):
    """The longest waits, in minutes: what waited longer stands before everything else."""

    alarm: Minutes = Field(60, description="Above the operating point, or the models disagree.")
    no_answer: Minutes = Field(120, description="Refused, not readable, or not read yet.")
    in_doubt: Minutes = Field(
        240, description="Below the operating point, with a warning or without the conformal rule's consent."
    )
    below: Minutes = Field(480, description="Below the operating point.")

    @property
    def waits(self) -> Waits:
        """The same by step, in seconds."""
        minutes = {ALARM: self.alarm, UNANSWERED: self.no_answer, IN_DOUBT: self.in_doubt, NORMAL: self.below}
        return Waits({step: 60 * wait for step, wait in minutes.items()})


class WorkerSection(Section):
    """The processes that read."""

    processes: int = Field(1, ge=0, description="On this machine; 0 where others read for it.")
    batch: int = Field(16, ge=1, le=256, description="Images that the network is shown together, at most.")
    linger: float = Field(0.25, ge=0, le=0.5, description="Seconds that a batch which is not full waits for more.")
    lease: float = Field(
        30, ge=1, description="Seconds after which an image whose reader is not heard of is another's."
    )
    attempts: int = Field(3, ge=1, description="Attempts to read an image before a person must look.")
    pixels: bool = Field(
        True, description="Decode for the viewer when there is nothing to read; else when an image is opened."
    )


class FolderSection(Section):
    """The folder door. What was received goes to `done` in that folder, what was refused to `refused`, with its reason."""

    path: Path | None = Field(None, description="The watched folder; no folder is watched when left out.")
    every: float = Field(2, gt=0, description="Seconds between two looks.")
    settle: float = Field(2, ge=0, description="Seconds for which a file must not have changed.")
    delete: bool = Field(False, description="Delete what was received in place of moving it to `done`.")


class TlsSection(Section):
    """TLS by BCP 195. Both sides show a certificate; all three files, in PEM, or none."""

    certificate: Path | None = Field(None, description="Of this service, with its chain; no TLS when left out.")
    key: Path | None = Field(None, description="Its private key.")
    authorities: Path | None = Field(None, description="Certificates that vouch for the other side's.")


AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]*[!-\[\]-~][ -\[\]-~]*$")]
Port = Annotated[int, Field(ge=0, le=65535)]


class PeerSection(Section):
    """A DICOM node that may call: `[[dicom.peers]]`, one a node."""

    ae_title: AeTitle = Field(description="Its AE title.")
    addresses: tuple[str, ...] = Field(min_length=1, description="From where: addresses, or networks as 10.1.2.0/24.")
    host: str | None = Field(None, description="Where it is called back; the first of `addresses` when left out.")
    port: Port | None = Field(
        None, description="Its port, for answers to Storage Commitment; they are not given when left out."
    )
    tls: bool = Field(False, description="Whether it is called back by TLS.")


class DicomSection(Section):
    """The DICOM node."""

    enabled: bool = Field(True, description="Whether a node listens.")
    host: str = Field("127.0.0.1", description="The address to listen on; beyond this machine it needs `peers`.")
    port: Port = Field(11112, description="The port to listen on; 0 for any free one.")
    ae_title: AeTitle = Field("CXREADER", description="The node's AE title; associations to another one are rejected.")
    associations: int = Field(32, ge=1, description="Associations at the same time, at most.")
    timeout: float = Field(60, gt=0, description="Seconds of silence after which an association is aborted.")
    grace: float = Field(10, ge=0, description="Seconds that associations have to end when the service ends.")
    plain: bool = Field(False, description="Listen beyond this machine without TLS: the network in between is trusted.")
    peers: tuple[PeerSection, ...] = Field((), description="Who may call; without any, programs on this machine may.")
    tls: TlsSection = Field(TlsSection(), description="Certificates; plain DICOM when left out.")


class ResultsSection(Section):
    """What is sent back."""

    regions: Literal["judged", "on", "off"] = Field(
        "judged",
        description="Regions in reports and presentation states: `judged` shows them where the artifact's evaluation says "
        "that they are found better than by both fixed maps, with intervals above 0.",
    )
    give_up: float = Field(
        72, gt=0, description="Hours after which an object that a destination does not take is a dead letter."
    )


class Settings(BaseSettings):
    """Every setting; `home` is where the service keeps what is its own."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__")

    home: Path = Field(description="The folder of this service; the option `--home`, never in the file.")
    models: tuple[Path, ...] = Field((), description="Artifacts' folders, which read together; `--model` comes first.")
    operating_point: str | None = Field(None, description="By name; each artifact's first one when left out.")
    terms: Path | None = Field(
        None, description="A site's own words for DICOM headers, as for `cxreader read --terms`."
    )
    database: str | None = Field(
        None, description="`sqlite:///PATH` or `postgresql://USER@HOST/NAME`; SQLite in the home when left out."
    )
    objects: str | None = Field(
        None,
        description="Where files are kept: a folder, or `s3://BUCKET/PREFIX?endpoint_override=...`; in the home when left out.",
    )
    receiving_mib: int = Field(
        512,
        ge=1,
        description="MiB of images that the node, and the HTTP door, hold while they are received; more wait.",
    )
    silent: bool = Field(False, description="Receive, read and keep everything; show and send nothing.")
    time_zone: Annotated[str, AfterValidator(_zone)] | None = Field(
        None,
        description="The site's, by its IANA name as `Europe/Berlin`: days begin by it, and what is sent is dated by it; "
        "the machine's own when left out.",
    )
    show_regions: bool = Field(True, description="`false` silences where findings lie, in every door and object.")
    worklist: WorklistSection = WorklistSection()
    worker: WorkerSection = WorkerSection()
    folder: FolderSection = FolderSection()
    dicom: DicomSection = DicomSection()
    results: ResultsSection = ResultsSection()
    web: WebSection = WebSection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the form that pydantic-settings asks for
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the caller gives, then the environment, then the file."""
        return init_settings, env_settings, _File(settings_cls, init_settings)

    @classmethod
    def load(cls, home: Path, **given: Any) -> Self:
        """The settings of a home; `given` comes before environment and file.

        Raises ConfigError with every key and value that is wrong, for a file that is no TOML, and for an unknown variable.
        """
        _refuse_unknown_variables(cls)
        try:
            return cls(home=home, **given)
        except ValidationError as error:
            raise explained(error, cls) from None

    @property
    def zone(self) -> SiteZone:
        """The site's time zone."""
        return SiteZone(self.time_zone or "")

    @property
    def database_url(self) -> str:
        """Where the database is."""
        return self.database or f"sqlite:///{(self.home / 'service.db').resolve()}"


class _File(PydanticBaseSettingsSource):
    """The values of the file in the home that is given."""

    def __init__(self, settings_cls: type[BaseSettings], given: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._given = given

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the form of a source
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return _values(Path(self._given()["home"]) / FILE)


def _values(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"not a readable TOML file ({in_words(error)})", where=file, mend="mend the line named"
        ) from None
    if "home" in values:
        raise ConfigError("unknown key", where="home", mend="the home is given by --home")
    return values


def _refuse_unknown_variables(kind: type[BaseSettings], variables: Mapping[str, str] | None = None) -> None:
    """pydantic-settings passes over a variable that it does not know: a misspelt one would silently do nothing."""
    known = {f"{PREFIX}{name}".upper() for name in kind.model_fields if name != "home"}
    for name in os.environ if variables is None else variables:
        if name.upper().startswith(PREFIX) and name.upper().split("__")[0] not in known:
            raise ConfigError("unknown variable", where=name, mend=nearest(name.upper(), known))
