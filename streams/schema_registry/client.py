"""A schema registry by Confluent's API, through confluent-kafka's client."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from streams.errors import ExpectedError, InvalidSchemaError, RegistryUnreachableError, SettingsError
from streams.schema_registry.desired import LEVEL, Subject
from streams.schema_registry.standing import Found, Verdict, judge
from streams.settings import RegistrySettings

RETRIES_MAX: Final = 2
RETRY_WAIT_MS: Final = 200
NOT_FOUND: Final = 404
CONFLICT: Final = 409
UNFIT: Final = 422
NO_ENTRY: Final = frozenset({401, 403})
SCHEMA_TYPE: Final = "JSON"


class Registry:
    """One registry. Raises `RegistryUnreachableError`, and `ExpectedError` for what it refuses."""

    def __init__(self, settings: RegistrySettings) -> None:
        if settings.url is None:
            raise SettingsError(
                "registry.url is not set; give the address of the schema registry (PEGEL_REGISTRY__URL)"
            )
        self._url = settings.url
        self._api = _library()
        self._client = self._api.SchemaRegistryClient(_config(settings))

    def examine(self, subject: Subject) -> Verdict:
        """How the subject stands there; changes nothing."""
        with self._asking(subject):
            try:
                newest = self._client.get_latest_version(subject.name)
            except self._api.SchemaRegistryError as error:
                if error.http_status_code != NOT_FOUND:
                    raise
                return judge(subject, None)
            schema = _parsed(newest.schema.schema_str)
            level = self._level(subject.name)
            same = schema == subject.schema
            accepts = same or self._client.test_compatibility_all_versions(subject.name, self._schema(subject))
            return judge(subject, Found(schema, newest.schema_id, newest.version, level, accepts))

    def register(self, subject: Subject) -> Verdict:
        """Make our schema the newest version, under our level, and say how it stands then."""
        with self._asking(subject):
            self._client.register_schema(subject.name, self._schema(subject))
            self._client.set_compatibility(subject.name, LEVEL)
            self._client.clear_latest_caches()
        return self.examine(subject)

    def _level(self, name: str) -> str:
        """The subject's own level, else that of the whole registry."""
        for asked in (name, None):
            try:
                return str(self._client.get_compatibility(asked))
            except self._api.SchemaRegistryError as error:
                if asked is None or error.http_status_code != NOT_FOUND:
                    raise
        raise AssertionError("the registry's own level was given or refused")

    def _schema(self, subject: Subject) -> Any:
        return self._api.Schema(json.dumps(subject.schema), SCHEMA_TYPE)

    @contextmanager
    def _asking(self, subject: Subject) -> Iterator[None]:
        import httpx2  # noqa: PLC0415 - comes with the client

        try:
            yield
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise RegistryUnreachableError(
                f"the schema registry does not answer at {self._url}: {reason}; start it or correct registry.url"
            ) from None
        except self._api.SchemaRegistryError as error:
            raise self._refusal(subject, error) from None

    def _refusal(self, subject: Subject, error: Any) -> ExpectedError:
        said = f"{error.error_message} (HTTP {error.http_status_code})"
        if error.http_status_code in NO_ENTRY:
            return ExpectedError(f"the schema registry at {self._url} does not let us: {said}; set registry.username")
        if error.http_status_code in (CONFLICT, UNFIT):
            return InvalidSchemaError(f"the schema registry refuses {subject.name}: {said}")
        return ExpectedError(f"the schema registry at {self._url} fails: {said}")


def _config(settings: RegistrySettings) -> dict[str, Any]:
    config: dict[str, Any] = {
        "url": settings.url,
        "timeout": settings.timeout_s,
        "max.retries": RETRIES_MAX,
        "retries.wait.ms": RETRY_WAIT_MS,
    }
    if settings.username is not None and settings.password is not None:
        config["basic.auth.user.info"] = f"{settings.username}:{settings.password.get_secret_value()}"
    if settings.ca_file is not None:
        config["ssl.ca.location"] = str(settings.ca_file)
    return config


def _library() -> Any:
    try:
        from confluent_kafka import schema_registry  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SettingsError(f"{error.name} is not installed; install it with: pip install 'pegel[registry]'") from None
    return schema_registry


def _parsed(text: str) -> dict[str, Any]:
    """What is registered may be anybody's; what is no object is like no schema of ours."""
    found = json.loads(text)
    return found if isinstance(found, dict) else {}
