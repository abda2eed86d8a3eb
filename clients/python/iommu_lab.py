"""iommu-lab from Python: one file, the standard library alone, Python 3.9 or later. Copy it beside your script or notebook.

    from iommu_lab import Lab

    lab = Lab("http://127.0.0.1:8080")
    lab.create_session(name="first", preset="thread-2008")
    run = lab.run("first", forNs=50_000_000)
    print(run["result"]["exposure"]["actual"]["peakPages"])

Every operation of the server's contract is a method, `createSession` is `create_session`. What stands in its path comes first. The members
of its body are keywords under the names that the contract has, or all of them one dict, `body=`, or both; the parameters of its query are
keywords, too, and so are, for any of them, `timeout` (seconds), `retries`, `headers`, and of a POST `idempotency_key`. A refusal of the
server is a `ProblemError`, with `status`, `code`, `path` and the whole `problem`.

Beyond single requests:

    lab.each(lab.list_sessions, state="idle")    every item of a list, over all its pages
    lab.ops("first", operations)                 many operations, in and out one by one
    lab.run("first", forNs=1_000_000)            starts a run and waits for its end
    lab.experiment(preset="policies-at-100g")    the same for an experiment
    lab.experiment_arms(id), .experiment_rows(id)    its results as rows for pandas.DataFrame(rows)
    lab.stream("first", topics=["metrics"])      what happens, while it happens; comes back after a cut, and goes on where it was

A POST carries a random `Idempotency-Key`, so that it can be tried again where the connection was lost: the server does it once. A `Lab`
may be shared by threads; an iterator that it returns may not.

Apache License 2.0, as iommu-lab itself.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import queue
import random
import re
import secrets
import socket
import ssl
import struct
import threading
import time
import urllib.parse
import weakref
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

__all__ = ["Lab", "ProblemError", "ConnectionLost", "StreamEnded", "Stream", "flatten", "UNSET"]
__version__ = "0.1.0"

JsonObject = Dict[str, Any]
#: Hex with 0x, or a whole number.
Address = Union[str, int]
#: Names, or ids as the server gave them.
Operation = Mapping[str, Any]


class _Unset:
    """Not given. None is JSON's null."""

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Any = _Unset()

_FIRST_WAIT_S = 0.2
_MOST_WAIT_S = 10.0
_MOST_RETRY_AFTER_S = 30.0
_ACTIVE = ("queued", "running")


class ProblemError(Exception):
    """The server's refusal. `code` is stable and what programs act on; the text is for people."""

    def __init__(self, problem: Mapping[str, Any], request: str, retry_after: Optional[float] = None) -> None:
        self.problem: Dict[str, Any] = dict(problem)
        self.status: int = int(problem["status"])
        self.code: str = str(problem["code"])
        self.detail: str = str(problem.get("detail", ""))
        #: JSON Pointer of the member that is wrong, when there is one.
        self.path: Optional[str] = problem.get("path", next((each["path"] for each in problem.get("errors", [])), None))
        #: Whether the same request may succeed later.
        self.retryable: bool = bool(problem.get("retryable", False))
        #: Seconds, when the server says to come back.
        self.retry_after: Optional[float] = retry_after
        self.request: str = request
        place = f" (at {self.path})" if self.path and self.path not in self.detail else ""
        super().__init__(f"{request}: {self.status} {self.code}: {self.detail}{place}")


class ConnectionLost(Exception):
    """No reply: the server was not reached, did not answer in time, or the reply broke off. The reason is its `__cause__`."""


class StreamEnded(Exception):
    """A stream is over for good, other than by the end of its session. `code` is what the server closed it with."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code} {reason}")


def flatten(document: Mapping[str, Any], prefix: str = "") -> JsonObject:
    """A nested document as one flat dict with dotted names, a row of a table: `{"exposure.actual.peakPages": 62}`.

    Lists are left as they are, but for the `workloads` of a run or of metrics, whose names become part of the path.
    """
    row: JsonObject = {}
    for name, value in document.items():
        path = prefix + name
        if isinstance(value, Mapping):
            row.update(flatten(value, path + "."))
        elif name == "workloads" and isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
            for each in value:
                row.update(flatten({k: v for k, v in each.items() if k != "name"}, f"{path}.{each.get('name')}."))
        else:
            row[path] = value
    return row


def _backoff(tried: int, first: float = _FIRST_WAIT_S, most: float = _MOST_WAIT_S) -> float:
    """Doubles with each try; random over its upper half, so that clients cut off together do not come back together."""
    whole = min(most, first * 2.0 ** min(tried, 30))
    return whole / 2 + random.random() * whole / 2


def _problem_of(status: int, text: str) -> JsonObject:
    """A reply that is no problem document, as of a proxy in between, told as one."""
    try:
        document = json.loads(text)
        if isinstance(document, dict) and "code" in document and "status" in document:
            return document
    except ValueError:
        pass
    return {
        "type": "about:blank",
        "title": "The reply is not one of iommu-lab",
        "status": status,
        "detail": text[:500] or "It has no body.",
        "code": f"http-{status}",
        "retryable": status in (429, 502, 503, 504),
    }


def _may_try_again(error: Exception, repeatable: bool) -> bool:
    """Refused with 429 or 503 the server has done nothing. After a lost connection nobody knows: then reads, and what has a key."""
    if isinstance(error, ConnectionLost):
        return repeatable
    if not isinstance(error, ProblemError):
        return False
    if error.code == "idempotency-in-flight":
        return True
    if error.status in (429, 503):
        return error.retryable
    return repeatable and error.status in (502, 504)


class _Reply:
    """A reply that has begun."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, request: str) -> None:
        self.connection = connection
        self.response = response
        self.request = request

    def read(self) -> bytes:
        try:
            return self.response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionLost(f"{self.request}: the reply broke off") from error

    def lines(self) -> Iterator[str]:
        """Lines while they arrive; an end in the middle of one is a reply that was cut."""
        rest = b""
        while True:
            try:
                part = self.response.read1(65536)
            except (OSError, http.client.HTTPException) as error:
                raise ConnectionLost(f"{self.request}: the reply broke off") from error
            if not part:
                break
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                yield line.decode("utf-8").rstrip("\r")
        if rest or self.response.length:
            raise ConnectionLost(f"{self.request}: the reply broke off")

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def _close_all(connections: List[http.client.HTTPConnection]) -> None:
    while connections:
        connections.pop().close()


class _Transport:
    """Requests: address, token, timeouts, problems as exceptions, and trying again what may be tried again."""

    def __init__(
        self,
        url: str,
        token: Optional[str],
        timeout: float,
        retries: int,
        headers: Mapping[str, str],
        context: Optional[ssl.SSLContext],
    ) -> None:
        parts = urllib.parse.urlsplit(url if "://" in url else "http://" + url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address of a server, as http://127.0.0.1:8080 is")
        self.secure = parts.scheme == "https"
        self.host = parts.hostname
        self.port = parts.port or (443 if self.secure else 80)
        self.base = parts.path.rstrip("/")
        self.token = token
        self.timeout = timeout
        self.retries = retries
        self.headers = dict(headers)
        self.context = context or (ssl.create_default_context() if self.secure else None)
        #: Connections that wait for the next request, of whatever thread; list.pop and list.append are atomic.
        self.idle: List[http.client.HTTPConnection] = []
        weakref.finalize(self, _close_all, self.idle)

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.base}"

    def connection(self, timeout: Optional[float]) -> http.client.HTTPConnection:
        if self.secure:
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.context)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def headers_of(self, accept: str, headers: Optional[Mapping[str, str]], key: Optional[str]) -> Dict[str, str]:
        all_headers = {"accept": accept, **self.headers}
        if self.token:
            all_headers["authorization"] = f"Bearer {self.token}"
        if key is not None:
            all_headers["idempotency-key"] = key
        all_headers.update(headers or {})
        return all_headers

    def persist(self, attempt: Callable[[], Any], repeatable: bool, retries: Optional[int]) -> Any:
        most = self.retries if retries is None else retries
        tried = 0
        while True:
            try:
                return attempt()
            except (ConnectionLost, ProblemError) as error:
                asked = error.retry_after if isinstance(error, ProblemError) else None
                too_long = asked is not None and asked > _MOST_RETRY_AFTER_S
                if tried >= most or too_long or not _may_try_again(error, repeatable):
                    raise
                time.sleep(max(asked or 0.0, _backoff(tried)))
                tried += 1

    def open(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Optional[bytes] = None,
        timeout: Optional[float] = None,
        kept: bool = False,
    ) -> _Reply:
        """One attempt, up to where the reply begins; refusals are raised.

        kept: may go over a connection that was kept, which the server may have closed at that very moment; then over another at once
        """
        request = f"{method} {path.partition('?')[0]}"
        connection = self.connection(timeout)
        used_before = False
        if kept:
            try:
                connection = self.idle.pop()
                used_before = True
                connection.sock.settimeout(timeout)  # type: ignore[union-attr]
            except IndexError:
                pass
        try:
            connection.request(method, self.base + path, body=body, headers=dict(headers))
            response = connection.getresponse()
        except socket.timeout as error:
            connection.close()
            raise ConnectionLost(f"{request}: no answer in time") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if used_before:
                return self.open(method, path, headers, body, timeout, kept)
            raise ConnectionLost(f"{request}: {self.url} cannot be reached, or broke off ({error})") from error
        reply = _Reply(connection, response, request)
        if response.status >= 400:
            raise refusal(reply)
        return reply

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Optional[bytes],
        timeout: Optional[float],
        kept: bool,
    ) -> Any:
        """One attempt, read whole and as its type says."""
        reply = self.open(method, path, headers, body, timeout, kept)
        content = reply.read()
        if kept and not reply.response.will_close:
            self.idle.append(reply.connection)
        else:
            reply.close()
        kind = (reply.response.getheader("content-type") or "").partition(";")[0].strip()
        if kind == "" or method == "HEAD":
            return None
        if re.fullmatch(r"application/([\w.-]+\+)?json", kind):
            return json.loads(content)
        if kind.startswith("text/") or kind in _TEXTS:
            return content.decode("utf-8")
        return content


_TEXTS = ("application/yaml", "application/openmetrics-text", "application/x-ndjson", "application/jsonl")


def refusal(reply: _Reply) -> ProblemError:
    """What a reply of 400 or more says, as an exception; the reply is read and closed."""
    try:
        text = reply.read().decode("utf-8", "replace")
    except ConnectionLost:
        text = ""
    finally:
        reply.close()
    after = reply.response.getheader("retry-after")
    seconds = float(after) if after is not None and re.fullmatch(r"\d+", after) else None
    return ProblemError(_problem_of(reply.response.status, text), reply.request, seconds)


def _quoted(value: str) -> str:
    return urllib.parse.quote(str(value), safe="")


def _query_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


class _Waiting:
    """Lines between the thread that makes them and the one that sends them, all that wait at once: a thread that sends each by itself gets
    its turn from the interpreter only every 5 ms while another computes."""

    MOST_BYTES = 1 << 18

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: List[bytes] = []
        self._bytes = 0
        self._ended = False
        self._wanted = True

    def put(self, line: bytes) -> bool:
        """False when no more are wanted."""
        with self._changed:
            while self._bytes > self.MOST_BYTES and self._wanted:
                self._changed.wait()
            self._lines.append(line)
            self._bytes += len(line)
            if len(self._lines) == 1:
                self._changed.notify_all()
            return self._wanted

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def give_up(self) -> None:
        with self._changed:
            self._wanted = False
            self._changed.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with self._changed:
                while not self._lines and not self._ended and self._wanted:
                    self._changed.wait()
                if not self._wanted or not self._lines:
                    return
                lines, self._lines, self._bytes = self._lines, [], 0
                self._changed.notify_all()
            yield b"".join(lines)


class _Operations:
    """What is generated: a method for each operation of the contract."""

    def call(
        self,
        method: str,
        path: str,
        query: Optional[Mapping[str, Any]] = None,
        body: Any = UNSET,
        accept: str = "application/json",
        keyed: bool = False,
        content_type: str = "application/json",
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
        retries: Optional[int] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Any:
        raise NotImplementedError

    # generated: operations
    def list_sessions(
        self,
        *,
        limit: int = UNSET,
        cursor: str = UNSET,
        name: str = UNSET,
        state: str = UNSET,
        mode: str = UNSET,
        allocator: str = UNSET,
        invalidation: str = UNSET,
        createdAfter: str = UNSET,
        createdBefore: str = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """List sessions, oldest first: `GET /v1/sessions`.

        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        name: A name, or the beginning of one and `*`.
        mode: Of the policy, as it was asked for.
        allocator: Kind of the policy's allocator, as it was asked for.
        invalidation: Kind of the policy's invalidation, as it was asked for.
        createdAfter: Created later than this instant.
        createdBefore: Created earlier than this instant.
        """
        return self.call(
            "GET",
            "/v1/sessions",
            query={
                "limit": limit, "cursor": cursor, "name": name, "state": state, "mode": mode, "allocator": allocator,
                "invalidation": invalidation, "createdAfter": createdAfter, "createdBefore": createdBefore,
            },
            **call_options,
        )

    def create_session(
        self,
        body: Optional[Mapping[str, Any]] = None,
        *,
        validateOnly: bool = UNSET,
        preset: str = UNSET,
        name: str = UNSET,
        title: str = UNSET,
        expiresAt: Union[str, None] = UNSET,
        seed: int = UNSET,
        machine: Mapping[str, Any] = UNSET,
        iommu: Mapping[str, Any] = UNSET,
        policy: Mapping[str, Any] = UNSET,
        tenants: Sequence[Any] = UNSET,
        domains: Sequence[Any] = UNSET,
        devices: Sequence[Any] = UNSET,
        workloads: Sequence[Any] = UNSET,
        kernelCommandLine: str = UNSET,
        costs: Mapping[str, Any] = UNSET,
        fromSnapshot: Any = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Create a session from a spec, a preset or a snapshot: `POST /v1/sessions`.

        validateOnly: Check and resolve the spec, create nothing.
        preset: A spec to start from; the members beside it override it.
        name: Chosen by the client, unique among its siblings, usable wherever the id is.
        title: Free text.
        expiresAt: The instant at which the session is deleted by itself, streams and all, as by DELETE; null for never.
        seed: Of every random stream of the session.
        kernelCommandLine: As a boot loader passes it, `iommu.strict=0 intel_iommu=on,sp_off` for instance.
        fromSnapshot: Id of a snapshot, or a document that was downloaded.
        """
        return self.call(
            "POST",
            "/v1/sessions",
            query={"validateOnly": validateOnly},
            body=_body_of(body, {
                "preset": preset, "name": name, "title": title, "expiresAt": expiresAt, "seed": seed, "machine": machine,
                "iommu": iommu, "policy": policy, "tenants": tenants, "domains": domains, "devices": devices,
                "workloads": workloads, "kernelCommandLine": kernelCommandLine, "costs": costs,
                "fromSnapshot": fromSnapshot,
            }),
            keyed=True,
            **call_options,
        )

    def get_session(self, session: str, **call_options: Any) -> JsonObject:
        """Read a session, with its digest, time and resolved spec: `GET /v1/sessions/{session}`.

        session: Id or name of the session.
        """
        return self.call("GET", f"/v1/sessions/{_quoted(session)}", **call_options)

    def rename_session(
        self,
        session: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        name: str = UNSET,
        title: str = UNSET,
        expiresAt: Union[str, None] = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Change name, title or when it expires: `PATCH /v1/sessions/{session}`.

        session: Id or name of the session.
        name: Chosen by the client, unique among its siblings, usable wherever the id is.
        title: Free text.
        expiresAt: The instant at which the session is deleted by itself, streams and all, as by DELETE; null for never.
        """
        return self.call(
            "PATCH",
            f"/v1/sessions/{_quoted(session)}",
            body=_body_of(body, {"name": name, "title": title, "expiresAt": expiresAt}),
            **call_options,
        )

    def delete_session(self, session: str, **call_options: Any) -> JsonObject:
        """Delete a session; an active run is cancelled first: `DELETE /v1/sessions/{session}`.

        session: Id or name of the session.
        """
        return self.call("DELETE", f"/v1/sessions/{_quoted(session)}", **call_options)

    def reset_session(self, session: str, **call_options: Any) -> JsonObject:
        """Go back to the spec, at time 0: `POST /v1/sessions/{session}/reset`.

        session: Id or name of the session.
        """
        return self.call("POST", f"/v1/sessions/{_quoted(session)}/reset", keyed=True, **call_options)

    def advance_time(
        self,
        session: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        ns: int = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Let simulated time pass; timers fire: `POST /v1/sessions/{session}/advance`.

        session: Id or name of the session.
        ns: Simulated time in whole nanoseconds, rounded down.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/advance",
            body=_body_of(body, {"ns": ns}),
            keyed=True,
            **call_options,
        )

    def list_tenants(self, session: str, *, limit: int = UNSET, cursor: str = UNSET, **call_options: Any) -> JsonObject:
        """List the tenants: `GET /v1/sessions/{session}/tenants`.

        session: Id or name of the session.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/tenants",
            query={"limit": limit, "cursor": cursor},
            **call_options,
        )

    def create_tenant(
        self,
        session: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        name: str = UNSET,
        kind: str = UNSET,
        memoryBytes: int = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Create a tenant: `POST /v1/sessions/{session}/tenants`.

        session: Id or name of the session.
        name: Chosen by the client, unique among its siblings, usable wherever the id is.
        memoryBytes: Most memory the tenant may hold; without a limit of its own when absent.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/tenants",
            body=_body_of(body, {"name": name, "kind": kind, "memoryBytes": memoryBytes}),
            keyed=True,
            **call_options,
        )

    def get_tenant(self, session: str, tenant: str, **call_options: Any) -> JsonObject:
        """Read a tenant: `GET /v1/sessions/{session}/tenants/{tenant}`.

        session: Id or name of the session.
        tenant: Id or name of the tenant.
        """
        return self.call("GET", f"/v1/sessions/{_quoted(session)}/tenants/{_quoted(tenant)}", **call_options)

    def delete_tenant(self, session: str, tenant: str, **call_options: Any) -> JsonObject:
        """Delete a tenant and free all its frames, as a VM teardown does: `DELETE /v1/sessions/{session}/tenants/{tenant}`.

        session: Id or name of the session.
        tenant: Id or name of the tenant.
        """
        return self.call("DELETE", f"/v1/sessions/{_quoted(session)}/tenants/{_quoted(tenant)}", **call_options)

    def list_domains(self, session: str, *, limit: int = UNSET, cursor: str = UNSET, **call_options: Any) -> JsonObject:
        """List the domains: `GET /v1/sessions/{session}/domains`.

        session: Id or name of the session.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/domains",
            query={"limit": limit, "cursor": cursor},
            **call_options,
        )

    def create_domain(
        self,
        session: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        name: str = UNSET,
        tenant: str = UNSET,
        levels: str = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Create a protection domain: `POST /v1/sessions/{session}/domains`.

        session: Id or name of the session.
        name: Chosen by the client, unique among its siblings, usable wherever the id is.
        tenant: An id or a name.
        levels: Levels of the page table - 39, 48 or 57 bits of IOVA.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/domains",
            body=_body_of(body, {"name": name, "tenant": tenant, "levels": levels}),
            keyed=True,
            **call_options,
        )

    def get_domain(self, session: str, domain: str, **call_options: Any) -> JsonObject:
        """Read a protection domain: `GET /v1/sessions/{session}/domains/{domain}`.

        session: Id or name of the session.
        domain: Id or name of the domain.
        """
        return self.call("GET", f"/v1/sessions/{_quoted(session)}/domains/{_quoted(domain)}", **call_options)

    def delete_domain(self, session: str, domain: str, **call_options: Any) -> JsonObject:
        """Delete a protection domain: `DELETE /v1/sessions/{session}/domains/{domain}`.

        session: Id or name of the session.
        domain: Id or name of the domain.
        """
        return self.call("DELETE", f"/v1/sessions/{_quoted(session)}/domains/{_quoted(domain)}", **call_options)

    def iommu_map(
        self,
        session: str,
        domain: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        iova: Union[str, int] = UNSET,
        physicalAddress: Union[str, int] = UNSET,
        lengthBytes: int = UNSET,
        access: str = UNSET,
        pageSize: str = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Map an explicit IOVA, as VFIO or iommufd would: `POST /v1/sessions/{session}/domains/{domain}/iommu-map`.

        session: Id or name of the session.
        domain: Id or name of the domain.
        iova: A bus or physical address - hex with `0x`, or a whole number up to 2^53-1.
        physicalAddress: A bus or physical address - hex with `0x`, or a whole number up to 2^53-1.
        lengthBytes: At most 2^20 pages of 4 KiB.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/domains/{_quoted(domain)}/iommu-map",
            body=_body_of(body, {
                "iova": iova, "physicalAddress": physicalAddress, "lengthBytes": lengthBytes, "access": access,
                "pageSize": pageSize,
            }),
            keyed=True,
            **call_options,
        )

    def iommu_unmap(
        self,
        session: str,
        domain: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        iova: Union[str, int] = UNSET,
        lengthBytes: int = UNSET,
        invalidate: bool = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Unmap an explicit range: `POST /v1/sessions/{session}/domains/{domain}/iommu-unmap`.

        session: Id or name of the session.
        domain: Id or name of the domain.
        iova: A bus or physical address - hex with `0x`, or a whole number up to 2^53-1.
        lengthBytes: At most 2^20 pages of 4 KiB.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/domains/{_quoted(domain)}/iommu-unmap",
            body=_body_of(body, {"iova": iova, "lengthBytes": lengthBytes, "invalidate": invalidate}),
            keyed=True,
            **call_options,
        )

    def invalidate_domain(
        self,
        session: str,
        domain: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        scope: str = UNSET,
        iova: Union[str, int] = UNSET,
        lengthBytes: int = UNSET,
        leafOnly: bool = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Drop cached translations: `POST /v1/sessions/{session}/domains/{domain}/invalidate`.

        session: Id or name of the session.
        domain: Id or name of the domain.
        iova: A bus or physical address - hex with `0x`, or a whole number up to 2^53-1.
        lengthBytes: At most 2^20 pages of 4 KiB.
        leafOnly: Keep walk-cache entries; false drops those in the range too.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/domains/{_quoted(domain)}/invalidate",
            body=_body_of(body, {"scope": scope, "iova": iova, "lengthBytes": lengthBytes, "leafOnly": leafOnly}),
            keyed=True,
            **call_options,
        )

    def list_devices(self, session: str, *, limit: int = UNSET, cursor: str = UNSET, **call_options: Any) -> JsonObject:
        """List the devices: `GET /v1/sessions/{session}/devices`.

        session: Id or name of the session.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/devices",
            query={"limit": limit, "cursor": cursor},
            **call_options,
        )

    def create_device(
        self,
        session: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        name: str = UNSET,
        kind: str = UNSET,
        bdf: str = UNSET,
        domain: str = UNSET,
        dmaMaskBits: int = UNSET,
        maxSegmentBytes: int = UNSET,
        segmentBoundaryBytes: int = UNSET,
        untrusted: bool = UNSET,
        deviceTlb: Mapping[str, Any] = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Add a device and attach it to a domain: `POST /v1/sessions/{session}/devices`.

        session: Id or name of the session.
        name: Chosen by the client, unique among its siblings, usable wherever the id is.
        kind: `custom` is driven by operations only.
        bdf: Requester id as `bus:device.function`, with or without the PCI segment.
        domain: Id or name of the domain to attach to; a domain of its own when absent.
        dmaMaskBits: How many address bits the device drives.
        maxSegmentBytes: Longest segment that the device takes;
        segmentBoundaryBytes: A segment does not cross a multiple of this, a power of two.
        untrusted: A device on an external port, which the kernel trusts with nothing beyond the bytes that it is given.
        deviceTlb: The device caches translations itself (ATS).
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/devices",
            body=_body_of(body, {
                "name": name, "kind": kind, "bdf": bdf, "domain": domain, "dmaMaskBits": dmaMaskBits,
                "maxSegmentBytes": maxSegmentBytes, "segmentBoundaryBytes": segmentBoundaryBytes, "untrusted": untrusted,
                "deviceTlb": deviceTlb,
            }),
            keyed=True,
            **call_options,
        )

    def get_device(self, session: str, device: str, **call_options: Any) -> JsonObject:
        """Read a device: `GET /v1/sessions/{session}/devices/{device}`.

        session: Id or name of the session.
        device: Id or name of the device.
        """
        return self.call("GET", f"/v1/sessions/{_quoted(session)}/devices/{_quoted(device)}", **call_options)

    def delete_device(self, session: str, device: str, **call_options: Any) -> JsonObject:
        """Detach and remove a device: `DELETE /v1/sessions/{session}/devices/{device}`.

        session: Id or name of the session.
        device: Id or name of the device.
        """
        return self.call("DELETE", f"/v1/sessions/{_quoted(session)}/devices/{_quoted(device)}", **call_options)

    def attach_device(
        self,
        session: str,
        device: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        domain: str = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Move a device to another domain: `PUT /v1/sessions/{session}/devices/{device}/domain`.

        session: Id or name of the session.
        device: Id or name of the device.
        domain: An id or a name.
        """
        return self.call(
            "PUT",
            f"/v1/sessions/{_quoted(session)}/devices/{_quoted(device)}/domain",
            body=_body_of(body, {"domain": domain}),
            **call_options,
        )

    def detach_device(self, session: str, device: str, **call_options: Any) -> JsonObject:
        """Detach a device from its domain; its accesses then fault: `DELETE /v1/sessions/{session}/devices/{device}/domain`.

        session: Id or name of the session.
        device: Id or name of the device.
        """
        return self.call("DELETE", f"/v1/sessions/{_quoted(session)}/devices/{_quoted(device)}/domain", **call_options)

    def access_memory(
        self,
        session: str,
        device: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        iova: Union[str, int] = UNSET,
        lengthBytes: int = UNSET,
        access: str = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Let the device read or write: `POST /v1/sessions/{session}/devices/{device}/dma`.

        session: Id or name of the session.
        device: Id or name of the device.
        iova: A bus or physical address - hex with `0x`, or a whole number up to 2^53-1.
        lengthBytes: Length of one device access, at most 16 MiB.
        access: What the device does to memory.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/devices/{_quoted(device)}/dma",
            body=_body_of(body, {"iova": iova, "lengthBytes": lengthBytes, "access": access}),
            keyed=True,
            **call_options,
        )

    def list_device_mappings(
        self,
        session: str,
        device: str,
        *,
        limit: int = UNSET,
        cursor: str = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """List the live mappings of a device: `GET /v1/sessions/{session}/devices/{device}/mappings`.

        session: Id or name of the session.
        device: Id or name of the device.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/devices/{_quoted(device)}/mappings",
            query={"limit": limit, "cursor": cursor},
            **call_options,
        )

    def map_memory(
        self,
        session: str,
        device: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        kind: str = UNSET,
        direction: str = UNSET,
        cpu: int = UNSET,
        buffer: str = UNSET,
        offsetBytes: int = UNSET,
        physicalAddress: Union[str, int] = UNSET,
        lengthBytes: int = UNSET,
        segments: Sequence[Any] = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Map memory for the device through the DMA API: `POST /v1/sessions/{session}/devices/{device}/mappings`.

        session: Id or name of the session.
        device: Id or name of the device.
        kind: Which call of the DMA API - `dma_map_single`, `dma_map_page`, `dma_map_sg`, or `dma_alloc_coherent`, which
            allocates its own pages.
        direction: Which way the data goes, as in the DMA API.
        cpu: Which simulated CPU makes the call; below `machine.cpus`.
        buffer: An id or a name.
        offsetBytes: From the start of the buffer or mapping.
        physicalAddress: A bus or physical address - hex with `0x`, or a whole number up to 2^53-1.
        lengthBytes: At most 2^20 pages of 4 KiB.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/devices/{_quoted(device)}/mappings",
            body=_body_of(body, {
                "kind": kind, "direction": direction, "cpu": cpu, "buffer": buffer, "offsetBytes": offsetBytes,
                "physicalAddress": physicalAddress, "lengthBytes": lengthBytes, "segments": segments,
            }),
            keyed=True,
            **call_options,
        )

    def list_mappings(self, session: str, *, limit: int = UNSET, cursor: str = UNSET, **call_options: Any) -> JsonObject:
        """List the live mappings of all devices: `GET /v1/sessions/{session}/mappings`.

        session: Id or name of the session.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/mappings",
            query={"limit": limit, "cursor": cursor},
            **call_options,
        )

    def get_mapping(self, session: str, device: str, mapping: str, **call_options: Any) -> JsonObject:
        """Read a live mapping: `GET /v1/sessions/{session}/devices/{device}/mappings/{mapping}`.

        session: Id or name of the session.
        device: Id or name of the device.
        mapping: Id of a live mapping.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/devices/{_quoted(device)}/mappings/{_quoted(mapping)}",
            **call_options,
        )

    def unmap_mapping(self, session: str, device: str, mapping: str, *, cpu: int = UNSET, **call_options: Any) -> JsonObject:
        """Unmap by handle: `DELETE /v1/sessions/{session}/devices/{device}/mappings/{mapping}`.

        session: Id or name of the session.
        device: Id or name of the device.
        mapping: Id of a live mapping.
        cpu: Which simulated CPU makes the call.
        """
        return self.call(
            "DELETE",
            f"/v1/sessions/{_quoted(session)}/devices/{_quoted(device)}/mappings/{_quoted(mapping)}",
            query={"cpu": cpu},
            **call_options,
        )

    def unmap_range(
        self,
        session: str,
        device: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        iova: Union[str, int] = UNSET,
        lengthBytes: int = UNSET,
        direction: str = UNSET,
        cpu: int = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Unmap by address: `POST /v1/sessions/{session}/devices/{device}/unmap`.

        session: Id or name of the session.
        device: Id or name of the device.
        iova: A bus or physical address - hex with `0x`, or a whole number up to 2^53-1.
        lengthBytes: At most 2^20 pages of 4 KiB.
        direction: Which way the data goes, as in the DMA API.
        cpu: Which simulated CPU makes the call; below `machine.cpus`.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/devices/{_quoted(device)}/unmap",
            body=_body_of(body, {"iova": iova, "lengthBytes": lengthBytes, "direction": direction, "cpu": cpu}),
            keyed=True,
            **call_options,
        )

    def sync_mapping(
        self,
        session: str,
        device: str,
        mapping: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        for_: str = UNSET,
        offsetBytes: int = UNSET,
        lengthBytes: int = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Hand a mapping over to the CPU or the device: `POST /v1/sessions/{session}/devices/{device}/mappings/{mapping}/sync`.

        session: Id or name of the session.
        device: Id or name of the device.
        mapping: Id of a live mapping.
        offsetBytes: From the start of the buffer or mapping.
        lengthBytes: At most 2^20 pages of 4 KiB.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/devices/{_quoted(device)}/mappings/{_quoted(mapping)}/sync",
            body=_body_of(body, {"for": for_, "offsetBytes": offsetBytes, "lengthBytes": lengthBytes}),
            keyed=True,
            **call_options,
        )

    def list_buffers(self, session: str, *, limit: int = UNSET, cursor: str = UNSET, **call_options: Any) -> JsonObject:
        """List the buffers: `GET /v1/sessions/{session}/buffers`.

        session: Id or name of the session.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/buffers",
            query={"limit": limit, "cursor": cursor},
            **call_options,
        )

    def create_buffer(
        self,
        session: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        name: str = UNSET,
        lengthBytes: int = UNSET,
        tenant: str = UNSET,
        physicalAddress: Union[str, int] = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Allocate page frames for a tenant: `POST /v1/sessions/{session}/buffers`.

        session: Id or name of the session.
        name: Chosen by the client, unique among its siblings, usable wherever the id is.
        lengthBytes: At most 2^20 pages of 4 KiB.
        tenant: An id or a name.
        physicalAddress: A bus or physical address - hex with `0x`, or a whole number up to 2^53-1.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/buffers",
            body=_body_of(body, {"name": name, "lengthBytes": lengthBytes, "tenant": tenant, "physicalAddress": physicalAddress}),
            keyed=True,
            **call_options,
        )

    def get_buffer(self, session: str, buffer: str, **call_options: Any) -> JsonObject:
        """Read a buffer: `GET /v1/sessions/{session}/buffers/{buffer}`.

        session: Id or name of the session.
        buffer: Id or name of the buffer.
        """
        return self.call("GET", f"/v1/sessions/{_quoted(session)}/buffers/{_quoted(buffer)}", **call_options)

    def free_buffer(self, session: str, buffer: str, *, force: bool = UNSET, **call_options: Any) -> JsonObject:
        """Free a buffer: `DELETE /v1/sessions/{session}/buffers/{buffer}`.

        session: Id or name of the session.
        buffer: Id or name of the buffer.
        force: Free it though it is mapped, which is misuse.
        """
        return self.call(
            "DELETE",
            f"/v1/sessions/{_quoted(session)}/buffers/{_quoted(buffer)}",
            query={"force": force},
            **call_options,
        )

    def list_workloads(self, session: str, *, limit: int = UNSET, cursor: str = UNSET, **call_options: Any) -> JsonObject:
        """List the workloads: `GET /v1/sessions/{session}/workloads`.

        session: Id or name of the session.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/workloads",
            query={"limit": limit, "cursor": cursor},
            **call_options,
        )

    def create_workload(
        self,
        session: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
        retries: Optional[int] = None,
        headers: Optional[Mapping[str, str]] = None,
        **members: Any,
    ) -> JsonObject:
        """Attach traffic to a device: `POST /v1/sessions/{session}/workloads`.

        session: Id or name of the session.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/workloads",
            body=_body_of(body, members),
            keyed=True,
            idempotency_key=idempotency_key,
            timeout=timeout,
            retries=retries,
            headers=headers,
        )

    def get_workload(self, session: str, workload: str, **call_options: Any) -> JsonObject:
        """Read a workload: `GET /v1/sessions/{session}/workloads/{workload}`.

        session: Id or name of the session.
        workload: Id or name of the workload.
        """
        return self.call("GET", f"/v1/sessions/{_quoted(session)}/workloads/{_quoted(workload)}", **call_options)

    def delete_workload(self, session: str, workload: str, **call_options: Any) -> JsonObject:
        """Delete a workload: `DELETE /v1/sessions/{session}/workloads/{workload}`.

        session: Id or name of the session.
        workload: Id or name of the workload.
        """
        return self.call("DELETE", f"/v1/sessions/{_quoted(session)}/workloads/{_quoted(workload)}", **call_options)

    def list_runs(
        self,
        session: str,
        *,
        limit: int = UNSET,
        cursor: str = UNSET,
        state: str = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """List the runs, oldest first: `GET /v1/sessions/{session}/runs`.

        session: Id or name of the session.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/runs",
            query={"limit": limit, "cursor": cursor, "state": state},
            **call_options,
        )

    def start_run(
        self,
        session: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        onRestart: str = UNSET,
        untilNs: int = UNSET,
        forNs: int = UNSET,
        operations: int = UNSET,
        until: Mapping[str, Any] = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Run the workloads until a time, a count or a condition: `POST /v1/sessions/{session}/runs`.

        session: Id or name of the session.
        onRestart: What becomes of the run when the server ends before it does.
        untilNs: Until this simulated time.
        forNs: For so much simulated time.
        operations: Until so many packets and I/Os have completed.
        until: Until a metric passes a bound.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/runs",
            body=_body_of(body, {"onRestart": onRestart, "untilNs": untilNs, "forNs": forNs, "operations": operations, "until": until}),
            keyed=True,
            **call_options,
        )

    def list_snapshots(self, session: str, *, limit: int = UNSET, cursor: str = UNSET, **call_options: Any) -> JsonObject:
        """List the snapshots, oldest first: `GET /v1/sessions/{session}/snapshots`.

        session: Id or name of the session.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/snapshots",
            query={"limit": limit, "cursor": cursor},
            **call_options,
        )

    def take_snapshot(
        self,
        session: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        title: str = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Keep the session as it is now: `POST /v1/sessions/{session}/snapshots`.

        session: Id or name of the session.
        title: Free text.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/snapshots",
            body=_body_of(body, {"title": title}),
            keyed=True,
            **call_options,
        )

    def export_history(self, session: str, *, format: str = UNSET, labEvents: bool = UNSET, **call_options: Any) -> str:
        """The session's history as a recording: `GET /v1/sessions/{session}/trace`.

        session: Id or name of the session.
        labEvents: Whether events of ours and comments are in it.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/trace",
            query={"format": format, "labEvents": labEvents},
            accept="text/plain",
            **call_options,
        )

    def download_snapshot(self, session: str, snapshot: str, *, state: bool = UNSET, **call_options: Any) -> JsonObject:
        """Download a snapshot as a document that `fromSnapshot` takes: `GET /v1/sessions/{session}/snapshots/{snapshot}`.

        session: Id or name of the session.
        snapshot: Id of the snapshot.
        state: Whether the state is in it; without, it is an export as spec and operations.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/snapshots/{_quoted(snapshot)}",
            query={"state": state},
            **call_options,
        )

    def delete_snapshot(self, session: str, snapshot: str, **call_options: Any) -> JsonObject:
        """Delete a snapshot: `DELETE /v1/sessions/{session}/snapshots/{snapshot}`.

        session: Id or name of the session.
        snapshot: Id of the snapshot.
        """
        return self.call("DELETE", f"/v1/sessions/{_quoted(session)}/snapshots/{_quoted(snapshot)}", **call_options)

    def get_run(self, session: str, run: str, **call_options: Any) -> JsonObject:
        """Read a run, its progress and its result: `GET /v1/sessions/{session}/runs/{run}`.

        session: Id or name of the session.
        run: Id of the run.
        """
        return self.call("GET", f"/v1/sessions/{_quoted(session)}/runs/{_quoted(run)}", **call_options)

    def delete_run(self, session: str, run: str, **call_options: Any) -> JsonObject:
        """Cancel an active run, or remove the record of an ended one: `DELETE /v1/sessions/{session}/runs/{run}`.

        session: Id or name of the session.
        run: Id of the run.
        """
        return self.call("DELETE", f"/v1/sessions/{_quoted(session)}/runs/{_quoted(run)}", **call_options)

    def get_metrics(
        self,
        session: str,
        *,
        names: str = UNSET,
        wake: bool = UNSET,
        format: str = UNSET,
        accept: str = "application/json",
        **call_options: Any,
    ) -> Any:
        """All metrics now: `GET /v1/sessions/{session}/metrics`.

        session: Id or name of the session.
        names: What the metrics are called: `lab` is ours, with all that is measured; the others have what the counters of
            that vendor have, under their names and with the event in the label `event` as `perf stat` and its like take it.
        wake: With `false` a session that rests is not woken, of which then only `iommu_session_awake 0` is told, and none is
            kept awake by it.
        format: A table, whatever `Accept` says.
        accept: What to answer: application/json, application/openmetrics-text, text/plain, text/csv,
            application/vnd.apache.parquet, application/vnd.apache.arrow.stream.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/metrics",
            query={"names": names, "wake": wake, "format": format},
            accept=accept,
            **call_options,
        )

    def get_space(
        self,
        session: str,
        *,
        domain: str = UNSET,
        limit: int = UNSET,
        cursor: str = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Occupancy and fragmentation of the IOVA space: `GET /v1/sessions/{session}/space`.

        session: Id or name of the session.
        domain: Id or name of a domain; the first domain when absent.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/space",
            query={"domain": domain, "limit": limit, "cursor": cursor},
            **call_options,
        )

    def get_space_cells(
        self,
        session: str,
        *,
        domain: str = UNSET,
        from_: str = UNSET,
        to: str = UNSET,
        cells: int = UNSET,
        extents: int = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """A stretch of the IOVA space as cells of equal size, each with its pages counted by state: `GET
            /v1/sessions/{session}/space/cells`.

        session: Id or name of the session.
        domain: Id or name of a domain; the first domain when absent.
        from_: First address of the stretch, rounded down to its page; 0 when absent.
        to: Last address of the stretch, its whole page; the last of the domain when absent or beyond it.
        cells: Cells at most.
        extents: Also gives, as `space`, the figures of the whole space and the parts of it that are in use, in so many
            extents at most; 0 leaves them out.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/space/cells",
            query={"domain": domain, "from": from_, "to": to, "cells": cells, "extents": extents},
            **call_options,
        )

    def get_space_page(self, session: str, *, domain: str = UNSET, iova: str, **call_options: Any) -> JsonObject:
        """One IOVA page - its state, who mapped it when, and what translates it now: `GET /v1/sessions/{session}/space/page`.

        session: Id or name of the session.
        domain: Id or name of a domain; the first domain when absent.
        iova: An address in the page, in hex.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/space/page",
            query={"domain": domain, "iova": iova},
            **call_options,
        )

    def get_iotlb(self, session: str, **call_options: Any) -> JsonObject:
        """Cached translations, by set: `GET /v1/sessions/{session}/iotlb`.

        session: Id or name of the session.
        """
        return self.call("GET", f"/v1/sessions/{_quoted(session)}/iotlb", **call_options)

    def get_walk_cache(self, session: str, **call_options: Any) -> JsonObject:
        """Cached paths to page tables: `GET /v1/sessions/{session}/walk-cache`.

        session: Id or name of the session.
        """
        return self.call("GET", f"/v1/sessions/{_quoted(session)}/walk-cache", **call_options)

    def get_page_table(self, session: str, *, domain: str, iova: str, **call_options: Any) -> JsonObject:
        """The walk of one address: `GET /v1/sessions/{session}/page-table`.

        session: Id or name of the session.
        domain: Id or name of the domain.
        iova: The address, in hex.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/page-table",
            query={"domain": domain, "iova": iova},
            **call_options,
        )

    def get_queues(self, session: str, **call_options: Any) -> JsonObject:
        """Invalidation queue and flush queues: `GET /v1/sessions/{session}/queues`.

        session: Id or name of the session.
        """
        return self.call("GET", f"/v1/sessions/{_quoted(session)}/queues", **call_options)

    def get_allocator(self, session: str, *, domain: str = UNSET, **call_options: Any) -> JsonObject:
        """What the IOVA allocator remembers: `GET /v1/sessions/{session}/allocator`.

        session: Id or name of the session.
        domain: Id or name of a domain; the first domain when absent.
        """
        return self.call("GET", f"/v1/sessions/{_quoted(session)}/allocator", query={"domain": domain}, **call_options)

    def get_faults(self, session: str, *, limit: int = UNSET, cursor: str = UNSET, **call_options: Any) -> JsonObject:
        """The fault log, with who last mapped and unmapped the address: `GET /v1/sessions/{session}/faults`.

        session: Id or name of the session.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/faults",
            query={"limit": limit, "cursor": cursor},
            **call_options,
        )

    def get_kernel_file(self, session: str, file: str, **call_options: Any) -> str:
        """What a kernel would show of it, in its own words: `GET /v1/sessions/{session}/kernel/{file}`.

        session: Id or name of the session.
        file: `dmar_perf_latency`: how long invalidations took, as the table of that name below
            `/sys/kernel/debug/iommu/intel`.
        """
        return self.call("GET", f"/v1/sessions/{_quoted(session)}/kernel/{_quoted(file)}", accept="text/plain", **call_options)

    def get_events(self, session: str, *, limit: int = UNSET, cursor: str = UNSET, **call_options: Any) -> JsonObject:
        """The event log: `GET /v1/sessions/{session}/events`.

        session: Id or name of the session.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/events",
            query={"limit": limit, "cursor": cursor},
            **call_options,
        )

    def list_grants(self, session: str, *, limit: int = UNSET, cursor: str = UNSET, **call_options: Any) -> JsonObject:
        """List with whom the session is shared: `GET /v1/sessions/{session}/grants`.

        session: Id or name of the session.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/grants",
            query={"limit": limit, "cursor": cursor},
            **call_options,
        )

    def create_grant(
        self,
        session: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        principal: str = UNSET,
        scope: str = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Share the session with another principal: `POST /v1/sessions/{session}/grants`.

        session: Id or name of the session.
        principal: Whom tokens act for, and whom sessions belong to.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/grants",
            body=_body_of(body, {"principal": principal, "scope": scope}),
            keyed=True,
            **call_options,
        )

    def delete_grant(self, session: str, grant: str, **call_options: Any) -> JsonObject:
        """Share the session no longer; open streams of that principal end: `DELETE /v1/sessions/{session}/grants/{grant}`.

        session: Id or name of the session.
        grant: Id of the grant.
        """
        return self.call("DELETE", f"/v1/sessions/{_quoted(session)}/grants/{_quoted(grant)}", **call_options)

    def list_links(self, session: str, *, limit: int = UNSET, cursor: str = UNSET, **call_options: Any) -> JsonObject:
        """List the links of the session, without their secrets: `GET /v1/sessions/{session}/links`.

        session: Id or name of the session.
        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call(
            "GET",
            f"/v1/sessions/{_quoted(session)}/links",
            query={"limit": limit, "cursor": cursor},
            **call_options,
        )

    def create_link(
        self,
        session: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        expiresInSeconds: int = UNSET,
        title: str = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Make a link that opens this session to whoever has it, for reading: `POST /v1/sessions/{session}/links`.

        session: Id or name of the session.
        expiresInSeconds: 7 days when absent, a year at most.
        title: Free text.
        """
        return self.call(
            "POST",
            f"/v1/sessions/{_quoted(session)}/links",
            body=_body_of(body, {"expiresInSeconds": expiresInSeconds, "title": title}),
            keyed=True,
            **call_options,
        )

    def delete_link(self, session: str, link: str, **call_options: Any) -> JsonObject:
        """Revoke a link; streams that it opened end: `DELETE /v1/sessions/{session}/links/{link}`.

        session: Id or name of the session.
        link: Id of the link.
        """
        return self.call("DELETE", f"/v1/sessions/{_quoted(session)}/links/{_quoted(link)}", **call_options)

    def create_ticket(self, **call_options: Any) -> JsonObject:
        """Get a ticket for one WebSocket: `POST /v1/ws-tickets`."""
        return self.call("POST", "/v1/ws-tickets", keyed=True, **call_options)

    def who_am_i(self, **call_options: Any) -> JsonObject:
        """Who the server takes the client for, and what it may take: `GET /v1/whoami`."""
        return self.call("GET", "/v1/whoami", **call_options)

    def list_tokens(self, *, limit: int = UNSET, cursor: str = UNSET, **call_options: Any) -> JsonObject:
        """List the tokens, without their secrets, oldest first: `GET /v1/tokens`.

        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call("GET", "/v1/tokens", query={"limit": limit, "cursor": cursor}, **call_options)

    def create_token(
        self,
        body: Optional[Mapping[str, Any]] = None,
        *,
        name: str = UNSET,
        principal: Any = UNSET,
        scope: str = UNSET,
        expiresInSeconds: int = UNSET,
        limits: Mapping[str, Any] = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Make a token: `POST /v1/tokens`.

        name: What people call it.
        principal: The name, made to fit, when absent.
        scope: Each includes the one before.
        expiresInSeconds: From now; at most 100 years.
        limits: What one principal may take.
        """
        return self.call(
            "POST",
            "/v1/tokens",
            body=_body_of(body, {
                "name": name, "principal": principal, "scope": scope, "expiresInSeconds": expiresInSeconds,
                "limits": limits,
            }),
            keyed=True,
            **call_options,
        )

    def get_token(self, token: str, **call_options: Any) -> JsonObject:
        """Read a token, without its secret: `GET /v1/tokens/{token}`.

        token: Id of the token.
        """
        return self.call("GET", f"/v1/tokens/{_quoted(token)}", **call_options)

    def revoke_token(self, token: str, **call_options: Any) -> JsonObject:
        """Revoke a token at once; its streams and its `ops` end: `DELETE /v1/tokens/{token}`.

        token: Id of the token.
        """
        return self.call("DELETE", f"/v1/tokens/{_quoted(token)}", **call_options)

    def rotate_token(
        self,
        token: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        overlapSeconds: int = UNSET,
        expiresInSeconds: int = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Make a token that follows this one: `POST /v1/tokens/{token}/rotate`.

        token: Id of the token.
        overlapSeconds: The old token ends after it.
        expiresInSeconds: From now; at most 100 years.
        """
        return self.call(
            "POST",
            f"/v1/tokens/{_quoted(token)}/rotate",
            body=_body_of(body, {"overlapSeconds": overlapSeconds, "expiresInSeconds": expiresInSeconds}),
            keyed=True,
            **call_options,
        )

    def get_audit(self, *, limit: int = UNSET, cursor: str = UNSET, **call_options: Any) -> JsonObject:
        """Read the audit log, newest first: `GET /v1/audit`.

        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call("GET", "/v1/audit", query={"limit": limit, "cursor": cursor}, **call_options)

    def list_prometheus_targets(
        self,
        *,
        awake: bool = UNSET,
        name: str = UNSET,
        state: str = UNSET,
        limit: int = UNSET,
        **call_options: Any,
    ) -> Any:
        """Which sessions Prometheus may scrape, in the form of its discovery over HTTP: `GET /v1/prometheus/targets`.

        awake: Whether those that rest are left out.
        name: A name, or the beginning of one and `*`.
        limit: The most there may be; the oldest sessions come first.
        """
        return self.call(
            "GET",
            "/v1/prometheus/targets",
            query={"awake": awake, "name": name, "state": state, "limit": limit},
            **call_options,
        )

    def list_experiments(self, *, limit: int = UNSET, cursor: str = UNSET, state: str = UNSET, **call_options: Any) -> JsonObject:
        """List experiments, oldest first: `GET /v1/experiments`.

        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call("GET", "/v1/experiments", query={"limit": limit, "cursor": cursor, "state": state}, **call_options)

    def create_experiment(
        self,
        body: Optional[Mapping[str, Any]] = None,
        *,
        validateOnly: bool = UNSET,
        name: str = UNSET,
        title: str = UNSET,
        preset: str = UNSET,
        base: Any = UNSET,
        vary: Mapping[str, Any] = UNSET,
        combine: str = UNSET,
        arms: Sequence[Any] = UNSET,
        workloads: Sequence[Any] = UNSET,
        until: Any = UNSET,
        warmUp: Any = UNSET,
        seeds: Sequence[Any] = UNSET,
        control: bool = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Run every arm with every seed: `POST /v1/experiments`.

        validateOnly: Check the request and resolve it into arms, create nothing.
        name: Chosen by the client, unique among its siblings, usable wherever the id is.
        title: Free text.
        preset: An experiment that is kept ready; the catalog lists them.
        base: What all arms have in common.
        vary: Dotted path into the spec - `policy.invalidation.kind`, `machine.cpus`, `workloads.rx.frameBytes` - and the
            values it takes.
        combine: Of `vary`: each value with each, or the first with the first, the second with the second, lists of one
            length.
        arms: In the place of `vary`: each arm by itself, as dotted path and value.
        workloads: In the place of those of the base.
        until: How long each arm runs; 20,000 operations unless the preset says otherwise.
        warmUp: How long each arm runs before that, unmeasured.
        seeds: Each arm runs once with each.
        control: Whether an arm without protection (mode `passthrough`) runs beside the others, one for each combination of
            what is varied outside `policy` and `kernelCommandLine`.
        """
        return self.call(
            "POST",
            "/v1/experiments",
            query={"validateOnly": validateOnly},
            body=_body_of(body, {
                "name": name, "title": title, "preset": preset, "base": base, "vary": vary, "combine": combine,
                "arms": arms, "workloads": workloads, "until": until, "warmUp": warmUp, "seeds": seeds, "control": control,
            }),
            keyed=True,
            **call_options,
        )

    def get_experiment(self, experiment: str, **call_options: Any) -> JsonObject:
        """Read an experiment, its arms and how far it is: `GET /v1/experiments/{experiment}`.

        experiment: Id or name of the experiment.
        """
        return self.call("GET", f"/v1/experiments/{_quoted(experiment)}", **call_options)

    def delete_experiment(self, experiment: str, **call_options: Any) -> JsonObject:
        """Cancel an experiment that is active, or remove one that has ended: `DELETE /v1/experiments/{experiment}`.

        experiment: Id or name of the experiment.
        """
        return self.call("DELETE", f"/v1/experiments/{_quoted(experiment)}", **call_options)

    def get_experiment_results(
        self,
        experiment: str,
        *,
        format: str = UNSET,
        rows: bool = UNSET,
        accept: str = "application/json",
        **call_options: Any,
    ) -> Any:
        """What has come of it so far - arms compared, or all rows: `GET /v1/experiments/{experiment}/results`.

        experiment: Id or name of the experiment.
        rows: Whether the JSON form has all rows with their outcomes, too.
        accept: What to answer: application/json, text/csv, application/vnd.apache.parquet.
        """
        return self.call(
            "GET",
            f"/v1/experiments/{_quoted(experiment)}/results",
            query={"format": format, "rows": rows},
            accept=accept,
            **call_options,
        )

    def get_experiment_report(
        self,
        experiment: str,
        *,
        format: str = UNSET,
        accept: str = "text/html",
        **call_options: Any,
    ) -> Any:
        """Tables and plots in one HTML file, or a summary in Markdown: `GET /v1/experiments/{experiment}/report`.

        experiment: Id or name of the experiment.
        accept: What to answer: text/html, text/markdown.
        """
        return self.call(
            "GET",
            f"/v1/experiments/{_quoted(experiment)}/report",
            query={"format": format},
            accept=accept,
            **call_options,
        )

    def list_traces(self, *, limit: int = UNSET, cursor: str = UNSET, state: str = UNSET, **call_options: Any) -> JsonObject:
        """List traces, oldest first: `GET /v1/traces`.

        limit: Most items to return.
        cursor: The `nextCursor` of the page before.
        """
        return self.call("GET", "/v1/traces", query={"limit": limit, "cursor": cursor, "state": state}, **call_options)

    def create_trace(
        self,
        body: bytes = b"",
        *,
        name: str = UNSET,
        format: str = UNSET,
        strict: bool = UNSET,
        options: str = UNSET,
        content_type: str = "text/plain",
        **call_options: Any,
    ) -> JsonObject:
        """Upload a recording: `POST /v1/traces`.

        format: What wrote the recording;
        strict: Whether a line that is not understood ends it.
        options: A JSON object with the options of the format, such as `{"order":"merged"}`.
        """
        return self.call(
            "POST",
            "/v1/traces",
            query={"name": name, "format": format, "strict": strict, "options": options},
            body=body,
            content_type=content_type,
            keyed=True,
            **call_options,
        )

    def get_trace(self, trace: str, **call_options: Any) -> JsonObject:
        """Read what a trace says, and how far it is: `GET /v1/traces/{trace}`.

        trace: Id or name of the trace.
        """
        return self.call("GET", f"/v1/traces/{_quoted(trace)}", **call_options)

    def append_trace(
        self,
        trace: str,
        body: bytes = b"",
        *,
        content_type: str = "application/partial-upload",
        **call_options: Any,
    ) -> JsonObject:
        """Go on with an upload: `PATCH /v1/traces/{trace}`.

        trace: Id or name of the trace.
        """
        return self.call("PATCH", f"/v1/traces/{_quoted(trace)}", body=body, content_type=content_type, **call_options)

    def delete_trace(self, trace: str, **call_options: Any) -> JsonObject:
        """Cancel an upload, or remove a trace: `DELETE /v1/traces/{trace}`.

        trace: Id or name of the trace.
        """
        return self.call("DELETE", f"/v1/traces/{_quoted(trace)}", **call_options)

    def get_trace_events(
        self,
        trace: str,
        *,
        from_: int = UNSET,
        limit: int = UNSET,
        kind: str = UNSET,
        device: str = UNSET,
        **call_options: Any,
    ) -> JsonObject:
        """Look at the events of a trace that is ready: `GET /v1/traces/{trace}/events`.

        trace: Id or name of the trace.
        from_: Index of the first event that is looked at.
        limit: Most items to return.
        device: As the recording names it.
        """
        return self.call(
            "GET",
            f"/v1/traces/{_quoted(trace)}/events",
            query={"from": from_, "limit": limit, "kind": kind, "device": device},
            **call_options,
        )

    def check_trace(self, trace: str, **call_options: Any) -> JsonObject:
        """What is wrong, or could be better, in a recording: `GET /v1/traces/{trace}/checks`.

        trace: Id or name of the trace.
        """
        return self.call("GET", f"/v1/traces/{_quoted(trace)}/checks", **call_options)

    def get_trace_forensics(self, trace: str, **call_options: Any) -> JsonObject:
        """Which map and unmap each fault of a recording is about: `GET /v1/traces/{trace}/forensics`.

        trace: Id or name of the trace.
        """
        return self.call("GET", f"/v1/traces/{_quoted(trace)}/forensics", **call_options)

    def get_catalog(self, **call_options: Any) -> JsonObject:
        """Every allocator, policy, mode, device, workload, cost profile and preset: `GET /v1/catalog`."""
        return self.call("GET", "/v1/catalog", **call_options)

    def get_version(self, **call_options: Any) -> JsonObject:
        """Version and limits: `GET /v1`."""
        return self.call("GET", "/v1", **call_options)

    def get_health(self, **call_options: Any) -> JsonObject:
        """Whether the process is alive: `GET /healthz`."""
        return self.call("GET", "/healthz", **call_options)

    def get_readiness(self, **call_options: Any) -> JsonObject:
        """Whether the server takes work: `GET /readyz`."""
        return self.call("GET", "/readyz", **call_options)

    def get_server_metrics(self, *, accept: str = "text/plain", **call_options: Any) -> Any:
        """The server's own metrics, for Prometheus: `GET /metrics`.

        accept: What to answer: text/plain, application/openmetrics-text.
        """
        return self.call("GET", "/metrics", accept=accept, **call_options)

    def get_contract(self, **call_options: Any) -> str:
        """This document: `GET /openapi.yaml`."""
        return self.call("GET", "/openapi.yaml", accept="application/yaml", **call_options)

    def get_docs(self, **call_options: Any) -> str:
        """This document, for reading: `GET /docs`."""
        return self.call("GET", "/docs", accept="text/html", **call_options)

    def get_guide(self, **call_options: Any) -> str:
        """The guide, page by page: `GET /guide`."""
        return self.call("GET", "/guide", accept="text/html", **call_options)

    def get_front_page(self, **call_options: Any) -> str:
        """The dashboard, or where to start: `GET /`."""
        return self.call("GET", "/", accept="text/html", **call_options)
    # end


def _body_of(body: Optional[Mapping[str, Any]], members: Mapping[str, Any]) -> JsonObject:
    """The members that were given, over those of a whole body."""
    given = {name: value for name, value in members.items() if value is not UNSET}
    return {**(body or {}), **given}


class Lab(_Operations):
    """A server of iommu-lab.

    url: where it is, its base path included; the environment's IOMMU_LAB_URL, else http://127.0.0.1:8080
    token: sent as `Authorization: Bearer`; the environment's IOMMU_LAB_TOKEN when absent
    timeout: seconds for each read from the network
    retries: how often to try again what may be tried again
    headers: sent with every request
    context: for https, where the server's certificate is not one that this machine knows
    """

    def __init__(
        self,
        url: Optional[str] = None,
        token: Optional[str] = None,
        *,
        timeout: float = 60.0,
        retries: int = 2,
        headers: Optional[Mapping[str, str]] = None,
        context: Optional[ssl.SSLContext] = None,
    ) -> None:
        url = url or os.environ.get("IOMMU_LAB_URL") or "http://127.0.0.1:8080"
        token = token or os.environ.get("IOMMU_LAB_TOKEN", "").strip() or None
        self._transport = _Transport(url, token, timeout, retries, headers or {}, context)

    @property
    def url(self) -> str:
        return self._transport.url

    def close(self) -> None:
        """Closes the connections that are kept for the next request, which opens another."""
        _close_all(self._transport.idle)

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Lab({self.url!r})"

    def call(
        self,
        method: str,
        path: str,
        query: Optional[Mapping[str, Any]] = None,
        body: Any = UNSET,
        accept: str = "application/json",
        keyed: bool = False,
        content_type: str = "application/json",
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
        retries: Optional[int] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Any:
        """Any request of the API, which the methods below make. JSON comes back as dicts and lists, text as str, all else as bytes.

        idempotency_key: of a POST, in place of a random one; "" sends none, and the request is then not tried again once it was sent
        """
        given = {name: _query_text(value) for name, value in (query or {}).items() if value is not UNSET}
        target = path + ("?" + urllib.parse.urlencode(given) if given else "")
        key: Optional[str] = None
        if keyed and idempotency_key != "":
            key = idempotency_key or secrets.token_hex(16)
        all_headers = self._transport.headers_of(accept, headers, key)
        content: Optional[bytes] = None
        if body is not UNSET:
            all_headers.setdefault("content-type", content_type)
            content = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8")
        seconds = self._transport.timeout if timeout is None else timeout
        repeatable = method == "GET" or key is not None
        return self._transport.persist(
            lambda: self._transport.exchange(method, target, all_headers, content, seconds, repeatable),
            repeatable,
            retries,
        )

    def each(self, listing: Callable[..., JsonObject], *args: Any, **options: Any) -> Iterator[Any]:
        """Every item of a list, over all its pages: `lab.each(lab.list_sessions, state="idle")`."""
        items = _PAGES[listing.__name__]
        cursor: Any = UNSET
        while True:
            page = listing(*args, **{**options, **({} if cursor is UNSET else {"cursor": cursor})})
            yield from page.get(items, [])
            cursor = page.get("nextCursor", UNSET)
            if cursor is UNSET:
                return

    # ------------------------------------------------------------------------------------------------ operations

    def ops(
        self,
        session: str,
        operations: Iterable[Operation],
        *,
        onError: str = "stop",
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
        retries: Optional[int] = None,
    ) -> Iterator[JsonObject]:
        """Applies operations in order and yields a reply for each: `{"line", "op", "ok", "result" or "problem"}`. Nothing is sent before
        the first reply is asked for.

        A list is sent as one body, and again under its key when the connection breaks: the server answers again what it had applied and
        goes on behind it, and here each reply is yielded once. Anything else that yields operations is sent as it yields them while
        replies arrive, so that an operation may depend on a reply before it; it cannot be sent twice. (Over https it is sent to its end
        before the first reply is yielded.)

        onError: "stop", the first operation that fails is the last that is answered; or "continue"
        """
        path = f"/v1/sessions/{_quoted(session)}/ops?onError={onError}"
        if isinstance(operations, (list, tuple)):
            return self._ops_of_list(path, operations, idempotency_key, timeout, retries)
        return self._ops_of_source(path, iter(operations), idempotency_key, timeout)

    def apply_operations(self, session: str, operations: Iterable[Operation], **options: Any) -> Iterator[JsonObject]:
        """`ops`, under its name in the contract."""
        return self.ops(session, operations, **options)

    def results(self, session: str, operations: Iterable[Operation], **options: Any) -> List[JsonObject]:
        """What the operations answered; the first that fails is raised, with its line in `request`."""
        results = []
        for reply in self.ops(session, operations, **options):
            if not reply["ok"]:
                raise ProblemError(reply["problem"], f"POST /v1/sessions/{session}/ops, line {reply['line']}")
            results.append(reply["result"])
        return results

    def _ops_of_list(
        self,
        path: str,
        operations: Sequence[Operation],
        idempotency_key: Optional[str],
        timeout: Optional[float],
        retries: Optional[int],
    ) -> Iterator[JsonObject]:
        transport = self._transport
        most = transport.retries if retries is None else retries
        key = idempotency_key or (secrets.token_hex(16) if most > 0 and idempotency_key is None else None)
        headers = transport.headers_of("application/x-ndjson", {"content-type": "application/x-ndjson"}, key)
        body = b"".join(json.dumps(operation).encode("utf-8") + b"\n" for operation in operations)
        seconds = transport.timeout if timeout is None else timeout
        given = 0
        tried = 0
        while True:
            reply = transport.persist(lambda: transport.open("POST", path, headers, body, seconds), key is not None, most)
            known = 0
            try:
                for line in reply.lines():
                    known += 1
                    if known <= given:
                        continue
                    given = known
                    tried = 0
                    yield json.loads(line)
                return
            except ConnectionLost:
                if key is None or tried >= most:
                    raise
                time.sleep(_backoff(tried))
                tried += 1
            finally:
                # Whoever stops asking ends the request, and with it what was not applied yet.
                reply.close()

    def _ops_of_source(
        self, path: str, operations: Iterator[Operation], idempotency_key: Optional[str], timeout: Optional[float]
    ) -> Iterator[JsonObject]:
        transport = self._transport
        headers = transport.headers_of(
            "application/x-ndjson", {"content-type": "application/x-ndjson"}, idempotency_key or None
        )
        connection = transport.connection(transport.timeout if timeout is None else timeout)
        request = f"POST {path.partition('?')[0]}"
        failures: "queue.Queue[BaseException]" = queue.Queue()
        waiting = _Waiting()

        def produce() -> None:
            try:
                for operation in operations:
                    if not waiting.put(json.dumps(operation).encode("utf-8") + b"\n"):
                        return
                waiting.end()
            except BaseException as error:  # The source's own: for who reads the replies.
                failures.put(error)
                waiting.end()
                _hang_up(connection)

        def send() -> None:
            try:
                for lines in waiting:
                    connection.send(b"%x\r\n%s\r\n" % (len(lines), lines))
                if failures.empty():
                    connection.send(b"0\r\n\r\n")
            except (OSError, http.client.HTTPException) as error:
                # The reply says why, if it ended in order.
                failures.put(ConnectionLost(f"{request}: the operations could not all be sent ({error})"))

        try:
            try:
                connection.connect()
                # Else it would connect again for what the other thread still sends when this one has given up.
                connection.auto_open = 0
                connection.putrequest("POST", transport.base + path, skip_accept_encoding=True)
                for name, value in {**headers, "transfer-encoding": "chunked"}.items():
                    connection.putheader(name, value)
                connection.endheaders()
                # How long the source takes is its own affair.
                if connection.sock is not None:
                    connection.sock.settimeout(None)
                threading.Thread(target=produce, name="iommu-lab source", daemon=True).start()
                if transport.secure:
                    send()
                else:
                    threading.Thread(target=send, name="iommu-lab ops", daemon=True).start()
                response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise self._cause(failures, ConnectionLost(f"{request}: the connection was lost")) from error
            reply = _Reply(connection, response, request)
            if response.status >= 400:
                raise refusal(reply)
            try:
                for line in reply.lines():
                    yield json.loads(line)
            except ConnectionLost as error:
                raise self._cause(failures, error) from error
        finally:
            waiting.give_up()
            _hang_up(connection)

    @staticmethod
    def _cause(failures: "queue.Queue[BaseException]", otherwise: BaseException) -> BaseException:
        """An exception of the source says more than the connection that was then given up."""
        try:
            failure = failures.get_nowait()
        except queue.Empty:
            return otherwise
        return otherwise if isinstance(failure, ConnectionLost) else failure

    # ------------------------------------------------------------------------------------------------ runs, experiments

    def run(
        self,
        session: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        timeout: Optional[float] = None,
        on_progress: Optional[Callable[[JsonObject], None]] = None,
        **members: Any,
    ) -> JsonObject:
        """Starts a run, `lab.run("first", forNs=50_000_000)`, and waits for its end: see `wait_for_run`."""
        run = self.start_run(session, _body_of(body, members))
        return self.wait_for_run(session, run["id"], timeout=timeout, on_progress=on_progress)

    def wait_for_run(
        self,
        session: str,
        run: str,
        *,
        timeout: Optional[float] = None,
        on_progress: Optional[Callable[[JsonObject], None]] = None,
    ) -> JsonObject:
        """The run when it has ended: look at its `state`, which is finished, cancelled or failed. `timeout` is in seconds, for all."""
        return _ended(lambda: self.get_run(session, run), f"run {run}", timeout, on_progress)

    def experiment(
        self,
        body: Optional[Mapping[str, Any]] = None,
        *,
        timeout: Optional[float] = None,
        on_progress: Optional[Callable[[JsonObject], None]] = None,
        **members: Any,
    ) -> JsonObject:
        """Starts an experiment and waits for its end. Its results: `experiment_arms`, `experiment_rows`, `get_experiment_results`."""
        experiment = self.create_experiment(_body_of(body, members))
        return self.wait_for_experiment(experiment["id"], timeout=timeout, on_progress=on_progress)

    def wait_for_experiment(
        self,
        experiment: str,
        *,
        timeout: Optional[float] = None,
        on_progress: Optional[Callable[[JsonObject], None]] = None,
    ) -> JsonObject:
        """The experiment when it has ended."""
        return _ended(lambda: self.get_experiment(experiment), f"experiment {experiment}", timeout, on_progress)

    def experiment_arms(self, experiment: str) -> List[JsonObject]:
        """A row for each arm: label, what was varied, and each figure as `name` (the median), `name.low` and `name.high`."""
        results = self.get_experiment_results(experiment)
        frontier = set(results["frontier"])
        rows = []
        for arm in results["arms"]:
            row: JsonObject = {"arm": arm["id"], "label": arm["label"], "control": arm["control"], **arm["varied"]}
            row["frontier"] = arm["id"] in frontier
            figures = {name: value for name, value in arm.items() if name not in ("varied", "rerun")}
            for name, value in flatten(figures).items():
                if name.endswith(".median"):
                    row[name[: -len(".median")]] = value
                elif name.endswith((".low", ".high")):
                    row[name] = value
            rows.append(row)
        return rows

    def experiment_rows(self, experiment: str) -> List[JsonObject]:
        """A row for each arm and seed, with what was varied and the whole result, flat."""
        results = self.get_experiment_results(experiment, rows=True)
        arms = {arm["id"]: arm for arm in results["arms"]}
        rows = []
        for row in results["rows"]:
            arm = arms[row["arm"]]
            head: JsonObject = {"arm": row["arm"], "label": arm["label"], "seed": row["seed"], "state": row["state"]}
            rows.append({**head, **arm["varied"], **flatten((row["outcome"] or {}).get("result", {}))})
        return rows

    # ------------------------------------------------------------------------------------------------ stream

    def stream(
        self,
        session: str,
        topics: Optional[Sequence[str]] = None,
        *,
        everyMs: Optional[int] = None,
        after: Optional[Mapping[str, Any]] = None,
        way: str = "websocket",
        give_up: Optional[float] = None,
    ) -> "Stream":
        """What happens in a session, while it happens: an iterator of messages, each a dict with a `type`.

        topics: of metrics, events, faults, verdicts, runs; all when absent
        everyMs: least time between two metrics frames
        after: where to go on, the `place` of an earlier stream
        way: "websocket", or "events" (server-sent events, through proxies that know no WebSocket)
        give_up: seconds of trying in vain to come back; without, it tries for ever
        """
        return Stream(self._transport, session, topics, everyMs, after, way, give_up)

    def open_stream(self, session: str, topics: Optional[Sequence[str]] = None, **options: Any) -> "Stream":
        """`stream`, under its name in the contract."""
        return self.stream(session, topics, **options)


def _hang_up(connection: http.client.HTTPConnection) -> None:
    """Also wakes a thread that waits for it."""
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    connection.close()


def _ended(
    look: Callable[[], JsonObject],
    name: str,
    timeout: Optional[float],
    on_progress: Optional[Callable[[JsonObject], None]],
) -> JsonObject:
    until = None if timeout is None else time.monotonic() + timeout
    between = 0.05
    while True:
        document = look()
        if on_progress is not None:
            on_progress(document)
        if document["state"] not in _ACTIVE:
            return document
        left = float("inf") if until is None else until - time.monotonic()
        if left <= 0:
            raise ConnectionLost(f"{name} has not ended within {timeout} s")
        time.sleep(min(between, left))
        between = min(1.0, between * 1.5)


# ---------------------------------------------------------------------------------------------------- the stream

_TOPICS = ("metrics", "events", "faults", "verdicts", "runs")
_NO_CODE = 1006
#: The server says something at least every 20 s: a ping, or a comment.
_SILENCE_S = 60.0
_LARGEST_MESSAGE = 16 << 20


class _Cut(Exception):
    """The connection is gone, with the code that it was closed with."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code} {reason}")


class Stream:
    """Messages of a session: frames of the topics asked for, `gap` where some were lost, `epoch` when the session was reset.

    It comes back by itself after a cut and goes on behind the last frame; what the server no longer has is told by a `gap`, and nothing
    else is lost. The iteration ends when the session is deleted or the stream closed, and raises `StreamEnded` or `ProblemError` when it
    is over otherwise. Messages are read as they are asked for: who asks for none for a minute is cut off by the server, which is no
    loss either.
    """

    def __init__(
        self,
        transport: _Transport,
        session: str,
        topics: Optional[Sequence[str]],
        every_ms: Optional[int],
        after: Optional[Mapping[str, Any]],
        way: str,
        give_up: Optional[float],
    ) -> None:
        if way not in ("websocket", "events"):
            raise ValueError(f"the way is websocket or events, not {way!r}")
        self._transport = transport
        self._session = session
        self._topics = list(topics or _TOPICS)
        self._every_ms = every_ms
        self._way = way
        self._give_up = give_up
        self._wire: Optional[Union[_Socket, _Events]] = None
        self._closed = False
        self._greeted = False
        self._place: Optional[JsonObject] = dict(after) if after else None

    @property
    def place(self) -> Optional[JsonObject]:
        """`{"epoch", "sequence"}` of the last frame: the `after` of another stream, of another process even."""
        return dict(self._place) if self._place else None

    def __iter__(self) -> Iterator[JsonObject]:
        return self

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def __next__(self) -> JsonObject:
        failing_since: Optional[float] = None
        tried = 0
        while not self._closed:
            try:
                if self._wire is None:
                    self._wire = self._connect()
                message = self._take(self._wire.message())
                if message is not None:
                    return message
                if self._greeted:
                    failing_since, tried = None, 0
            except (_Cut, ConnectionLost, ProblemError) as error:
                if self._wire is not None:
                    self._wire.close()
                    self._wire = None
                wait = self._over_or_wait(error, tried)
                now = time.monotonic()
                failing_since = now if failing_since is None else failing_since
                if self._give_up is not None and now - failing_since > self._give_up:
                    raise ConnectionLost(f"stream of {self._session}: given up ({error})") from error
                time.sleep(wait)
                tried += 1
        raise StopIteration

    def _over_or_wait(self, error: Exception, tried: int) -> float:
        """Seconds until the next try; raises when there is to be none."""
        if isinstance(error, _Cut) and error.code >= 4500:
            self._closed = True
            if error.code == 4500:
                raise StopIteration
            raise StreamEnded(error.code, error.reason) from None
        if isinstance(error, ProblemError) and not error.retryable:
            self._closed = True
            if self._greeted and error.code == "unknown-session":
                raise StopIteration
            raise error
        asked = error.retry_after if isinstance(error, ProblemError) else None
        return max(asked or 0.0, _backoff(tried, 0.25))

    def _connect(self) -> Union["_Socket", "_Events"]:
        after = {}
        if self._place is not None:
            after = {"epoch": self._place["epoch"], "fromSequence": self._place["sequence"] + 1}
        every = {} if self._every_ms is None else {"everyMs": self._every_ms}
        path = f"/v1/sessions/{_quoted(self._session)}/stream"
        if self._way == "events":
            return _Events(self._transport, path, {"topics": ",".join(self._topics), **every, **after})
        return _Socket(self._transport, path, {"type": "subscribe", "topics": self._topics, **every, **after})

    def _take(self, message: JsonObject) -> Optional[JsonObject]:
        kind = message.get("type")
        if kind == "subscribed":
            self._greeted = True
            # Without a frame yet this is where they begin: cut now, it would go on here.
            if self._place is None:
                self._place = {"epoch": message["epoch"], "sequence": message["sequence"] - 1}
            return None
        if kind == "error":
            self._closed = True
            raise ProblemError({**message["problem"], "retryable": False}, f"stream of {self._session}")
        if kind == "end":
            raise _Cut(message["code"], message["reason"])
        if kind in _TOPICS:
            place = {"epoch": message["epoch"], "sequence": message["sequence"]}
            # Sent twice, as where a connection was lost and found again.
            if self._place and self._place["epoch"] == place["epoch"] and place["sequence"] <= self._place["sequence"]:
                return None
            self._place = place
            return message
        if kind == "epoch":
            self._place = {"epoch": message["epoch"], "sequence": 0}
            return message
        return message if kind == "gap" else None


class _Events:
    """Server-sent events."""

    def __init__(self, transport: _Transport, path: str, query: Mapping[str, Any]) -> None:
        headers = transport.headers_of("text/event-stream", None, None)
        self._reply = transport.open("GET", f"{path}?{urllib.parse.urlencode(query)}", headers, None, _SILENCE_S)
        self._lines = self._reply.lines()

    def message(self) -> JsonObject:
        data: List[str] = []
        for line in self._lines:
            if line.startswith("data:"):
                data.append(line[5:].lstrip(" "))
            elif line == "" and data:
                return json.loads("\n".join(data))
        raise _Cut(_NO_CODE, "the connection was cut")

    def close(self) -> None:
        self._reply.close()


class _Socket:
    """A WebSocket (RFC 6455) of text messages: the client's side, without extensions."""

    def __init__(self, transport: _Transport, path: str, first: Mapping[str, Any]) -> None:
        request = f"GET {path}"
        key = base64.b64encode(secrets.token_bytes(16)).decode("ascii")
        headers = transport.headers_of("application/json", None, None)
        headers.update(
            {
                "connection": "Upgrade",
                "upgrade": "websocket",
                "sec-websocket-version": "13",
                "sec-websocket-key": key,
                "sec-websocket-protocol": "iommu-lab.v1",
            }
        )
        connection = transport.connection(transport.timeout)
        try:
            connection.request("GET", transport.base + path, headers=headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ConnectionLost(f"{request}: {transport.url} cannot be reached, or broke off ({error})") from error
        if response.status != 101:
            raise refusal(_Reply(connection, response, request))
        accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode("ascii")).digest()
        if response.getheader("sec-websocket-accept") != base64.b64encode(accept).decode("ascii"):
            connection.close()
            raise ConnectionLost(f"{request}: the answer to the upgrade is not one")
        self._connection = connection
        # What came right behind the answer is in the response's buffer.
        self._file = response.fp
        self._socket = connection.sock
        if self._socket is None or self._file is None:
            raise ConnectionLost(f"{request}: the connection closed behind the upgrade")
        self._socket.settimeout(_SILENCE_S)
        self._send(0x1, json.dumps(first).encode("utf-8"))

    def message(self) -> JsonObject:
        parts: List[bytes] = []
        length = 0
        while True:
            final, opcode, payload = self._frame()
            if opcode == 0x9:
                self._send(0xA, payload)
            elif opcode == 0x8:
                code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
                self._send(0x8, payload[:2])
                raise _Cut(code, payload[2:].decode("utf-8", "replace"))
            elif opcode in (0x0, 0x1):
                parts.append(payload)
                length += len(payload)
                if length > _LARGEST_MESSAGE:
                    raise _Cut(_NO_CODE, "a message is larger than any of the stream")
                if final:
                    return json.loads(b"".join(parts))
            elif opcode != 0xA:
                raise _Cut(_NO_CODE, f"a frame of kind {opcode} was not asked for")

    def _frame(self) -> Tuple[bool, int, bytes]:
        first, second = self._read(2)
        length = second & 0x7F
        if length == 126:
            length = struct.unpack("!H", self._read(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self._read(8))[0]
        if second & 0x80 or first & 0x70 or length > _LARGEST_MESSAGE:
            raise _Cut(_NO_CODE, "what came is no frame of a server")
        return bool(first & 0x80), first & 0x0F, self._read(length)

    def _read(self, length: int) -> bytes:
        try:
            content = self._file.read(length)
        except (OSError, ValueError) as error:
            raise _Cut(_NO_CODE, f"the connection was cut ({error})") from error
        if len(content) < length:
            raise _Cut(_NO_CODE, "the connection was cut")
        return content

    def _send(self, opcode: int, payload: bytes) -> None:
        mask = secrets.token_bytes(4)
        masked = bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))
        length = len(payload)
        head = bytes([0x80 | opcode, 0x80 | (length if length < 126 else 126)])
        if length >= 126:
            head += struct.pack("!H", length)
        try:
            self._socket.sendall(head + mask + masked)
        except OSError as error:
            raise _Cut(_NO_CODE, f"the connection was cut ({error})") from error

    def close(self) -> None:
        try:
            self._send(0x8, struct.pack("!H", 1000))
        except _Cut:
            pass
        _hang_up(self._connection)
        self._file.close()


# generated: pages
#: Where a page has its items.
_PAGES: Dict[str, str] = {
    "list_sessions": "items",
    "list_tenants": "items",
    "list_domains": "items",
    "list_devices": "items",
    "list_device_mappings": "items",
    "list_mappings": "items",
    "list_buffers": "items",
    "list_workloads": "items",
    "list_runs": "items",
    "list_snapshots": "items",
    "get_space": "items",
    "get_faults": "items",
    "get_events": "items",
    "list_grants": "items",
    "list_links": "items",
    "list_tokens": "items",
    "get_audit": "items",
    "list_experiments": "items",
    "list_traces": "items",
}
# end
