"""One guarded way out over HTTP: a request that has an answer or a named failure, and never raises for the network.

Theory of operation. Each destination has a client of its own, so that one that hangs holds no connection of another's,
and so that its address policy holds for all its connections: the resolver judges every address of a name and hands on
the judged ones, which are what is connected to. Redirects are not followed, proxies and cookies are not used, TLS is
verified. Of an answer so many bytes as its reader asked for are read, not decompressed: a hostile one costs nothing.

A failure before the request's head was written is `unsent`: the provider cannot have seen it. Afterwards nobody knows,
which is another matter for whoever must not repeat a message.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from streams.connectors.addresses import AddressPolicy
from streams.connectors.outcome import Outcome, OutcomeKind

ANSWER_BYTES_MAX: Final = 4_096
URL_CHARS_MAX: Final = 3_000
CONNECT_TIMEOUT_S: Final = 5.0
TIMEOUT_MIN_S: Final = 0.01
DNS_CACHE_S: Final = 30
USER_AGENT: Final = "Pegel"


class Failure(StrEnum):
    """Why there is no answer."""

    ADDRESS_REFUSED = "address_refused"
    NAME_UNKNOWN = "name_unknown"
    TLS_FAILED = "tls_failed"
    CONNECT_FAILED = "connect_failed"
    TIMED_OUT = "timed_out"
    DISCONNECTED = "disconnected"
    PATH_REFUSED = "path_refused"


@dataclass(frozen=True, slots=True)
class Unanswered:
    failure: Failure
    unsent: bool

    def outcome(self) -> Outcome:
        if self.failure is Failure.PATH_REFUSED:
            return Outcome(OutcomeKind.REJECTED, self.failure.value)
        if self.unsent:
            return Outcome(OutcomeKind.RETRY_DESTINATION, self.failure.value)
        return Outcome(OutcomeKind.AMBIGUOUS, self.failure.value)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = field(repr=False)
    """At most as much as was asked for. Shown nowhere: it may repeat what was sent."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Looked up in any case: names are case-insensitive."""
    complete: bool = True
    """Whether `body` is all of it: not if it was longer than asked for, or broke off."""

    @property
    def retry_after(self) -> str | None:
        return self.headers.get("Retry-After")


class AddressRefusedError(Exception):
    """The name has an address that the destination's policy does not allow."""


class URLError(ValueError):
    """A URL cannot be used. The text does not repeat it: it may be a secret."""


def checked_url(url: str, policy: AddressPolicy) -> SplitResult:
    """Check all that can be known of a URL without resolving its name."""
    if len(url) > URL_CHARS_MAX:
        raise URLError(f"the URL is longer than {URL_CHARS_MAX} characters")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise URLError("the URL holds white space or control characters")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise URLError("the URL cannot be read") from None
    if parts.scheme not in {"https", "http"} or not host:
        raise URLError("the URL must begin with https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise URLError("the URL holds a user name or password; use a header instead")
    if parts.scheme == "http" and not (policy.loopback or policy.networks):
        raise URLError("the URL must begin with https://; allow_http: true permits http to this machine")
    if not _is_literal(host) and host.replace(".", "").isdigit():
        raise URLError("the URL's address is an abbreviation; write all four numbers")
    if _is_literal(host) and not policy_for(parts.scheme, policy).allows(host):
        raise URLError("the URL's address is not allowed: public ones are, others only if allow_networks names them")
    return parts


def policy_for(scheme: str, policy: AddressPolicy) -> AddressPolicy:
    """Plain http stays inside."""
    return policy if scheme == "https" else AddressPolicy(False, policy.loopback, policy.networks)  # noqa: FBT003


class HttpTarget:
    """Asks one URL, or the paths below it. The session is opened on first use, in the event loop that uses it."""

    def __init__(
        self,
        url: str,
        policy: AddressPolicy,
        timeout_s: float,
        *,
        in_flight_max: int,
        keep_alive: bool,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        parts = checked_url(url, policy)
        self._url = url
        self._policy = policy_for(parts.scheme, policy)
        self._timeout = _timeout(timeout_s)
        self._in_flight_max = in_flight_max
        self._keep_alive = keep_alive
        self._answer_bytes_max = answer_bytes_max
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return "HttpTarget(url='**********')"

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer | Unanswered:
        """POST to the URL itself."""
        return await self.request("POST", "", body, headers)

    async def request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], *, within_s: float | None = None
    ) -> Answer | Unanswered:
        """Make one attempt at the URL followed by `path`, without a retry of any kind.

        A delivery that takes several requests has one time-out for them all: each gets `within_s`, what is left of it.

        `path` may end with a query. What is put into it from outside must be quoted (`urllib.parse.quote(x, safe="")`);
        one that would lead elsewhere all the same (a segment of dots) is refused and nothing is sent.
        """
        if _leads_elsewhere(path):
            return Unanswered(Failure.PATH_REFUSED, unsent=True)
        url = self._url if not path else self._url.rstrip("/") + path
        trace = SimpleNamespace(sent=False)
        try:
            async with self._opened().request(
                method,
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=trace,
                timeout=self._timeout if within_s is None else _timeout(within_s),
            ) as response:
                read, complete = await _capped(response, self._answer_bytes_max)
                return Answer(response.status, read, response.headers, complete)
        except AddressRefusedError:
            return Unanswered(Failure.ADDRESS_REFUSED, unsent=True)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Unanswered(_named(error), unsent=not trace.sent)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=GuardedResolver(self._policy),
                limit=self._in_flight_max,
                ttl_dns_cache=DNS_CACHE_S,
                force_close=not self._keep_alive,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
                trace_configs=[_trace()],
            )
            # aiohttp would send a GET, PUT or DELETE again by itself, and there is no public switch for it.
            self._session._retry_connection = False  # noqa: SLF001
        return self._session


class GuardedResolver(AbstractResolver):
    """Resolves as the system does, and refuses a name if any of its addresses is not allowed."""

    def __init__(self, policy: AddressPolicy, resolver: AbstractResolver | None = None) -> None:
        self._policy = policy
        self._resolver = resolver or aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not all(self._policy.allows(entry["host"]) for entry in found):
            raise AddressRefusedError
        return found

    async def close(self) -> None:
        await self._resolver.close()


def _timeout(total_s: float) -> aiohttp.ClientTimeout:
    total_s = max(total_s, TIMEOUT_MIN_S)  # 0 would mean: without end
    return aiohttp.ClientTimeout(total=total_s, sock_connect=min(CONNECT_TIMEOUT_S, total_s), sock_read=total_s)


def _is_literal(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host.partition("%")[0])
    except OSError:
        return False
    return True


def _leads_elsewhere(path: str) -> bool:
    if not path:
        return False
    segments = unquote(path.partition("?")[0]).split("/")
    return path[0] not in "/?" or "#" in path or not path.isprintable() or bool({".", ".."} & set(segments))


async def _capped(response: aiohttp.ClientResponse, bytes_max: int) -> tuple[bytes, bool]:
    """The head of the body, and whether it is all. The status is known by then: one that breaks off is no failure."""
    body = bytearray()
    try:
        while len(body) < bytes_max:
            chunk = await response.content.read(bytes_max - len(body))
            if not chunk:
                break
            body += chunk
    except (aiohttp.ClientError, TimeoutError, OSError):
        return bytes(body), False
    finally:
        if not response.content.at_eof():
            response.close()
    return bytes(body), response.content.at_eof()


def _named(error: BaseException) -> Failure:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Failure.NAME_UNKNOWN
    if isinstance(error, aiohttp.ClientSSLError):
        return Failure.TLS_FAILED
    if isinstance(error, TimeoutError):
        return Failure.TIMED_OUT
    if isinstance(error, aiohttp.ClientConnectorError):
        return Failure.CONNECT_FAILED
    return Failure.DISCONNECTED


def _trace() -> aiohttp.TraceConfig:
    config = aiohttp.TraceConfig()

    async def sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
        context.trace_request_ctx.sent = True

    config.on_request_headers_sent.append(sent)
    return config
