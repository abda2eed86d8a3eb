"""The Python client against a real server.

`npm run test:python` starts one and gives its address in IOMMU_LAB_URL; by hand: IOMMU_LAB_URL=http://127.0.0.1:8080 python3 -m unittest
clients/python/test_iommu_lab.py. What needs a server that breaks off is played by a small one in this process.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import threading
import time
import unittest
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import iommu_lab
from iommu_lab import ConnectionLost, Lab, ProblemError, StreamEnded, flatten

SCENARIOS = Path(__file__).resolve().parents[2] / "test" / "scenarios"


def scenario_names() -> List[str]:
    return sorted(path.name[: -len(".spec.json")] for path in SCENARIOS.glob("*.spec.json"))


def lines_of(path: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def totals_of(metrics: Dict[str, Any]) -> Dict[str, Any]:
    """What the golden files have of the metrics: no counter that is 0, no histograms."""
    windows = {
        name: {each: value for each, value in metrics["exposure"][name].items() if each not in ("histogram", "quantilesNs")}
        for name in ("actual", "potential")
    }
    return {
        "timeNs": metrics["timeNs"],
        "counts": {name: count for name, count in metrics["counts"].items() if count},
        "verdicts": {name: count for name, count in metrics["verdicts"].items() if count},
        "exposure": {**metrics["exposure"], **windows},
    }


class Golden(unittest.TestCase):
    """Every golden scenario answers what is written down, as a list of operations and as a source of them."""

    def test_scenarios(self) -> None:
        lab = Lab()
        digests: Dict[str, str] = {}
        for name in scenario_names():
            spec = json.loads((SCENARIOS / f"{name}.spec.json").read_text("utf-8"))
            operations = lines_of(SCENARIOS / f"{name}.ops.ndjson")
            expected = lines_of(SCENARIOS / f"{name}.expected.ndjson")
            for form in ("list", "source"):
                with self.subTest(name, form=form):
                    session = f"{name}-py-{form}"
                    lab.create_session(spec, name=session)
                    source = operations if form == "list" else (each for each in operations)
                    replies = list(lab.ops(session, source, onError="continue"))
                    faults = lab.get_faults(session, limit=1000)
                    metrics = lab.get_metrics(session)
                    self.assertEqual([*replies, {"faults": faults}, {"totals": totals_of(metrics)}], expected)
                    digest = lab.get_session(session)["digest"]
                    self.assertEqual(digests.setdefault(name, digest), digest)
        # For who started this: the digests of the other client must be these.
        where = os.environ.get("IOMMU_LAB_DIGESTS")
        if where:
            Path(where).write_text(json.dumps(digests), "utf-8")
        self.assertGreater(len(digests), 25)


class Operations(unittest.TestCase):
    def setUp(self) -> None:
        self.lab = Lab()
        self.session = f"py-{self.id().rpartition('.')[2].replace('_', '-')}"
        self.lab.create_session(name=self.session, devices=[{"name": "nic0", "kind": "nic"}])
        self.addCleanup(self.lab.delete_session, self.session)

    def test_single_operations(self) -> None:
        buffer = self.lab.create_buffer(self.session, lengthBytes=4096)
        mapping = self.lab.map_memory(self.session, "nic0", kind="single", direction="from-device", buffer=buffer["id"])
        access = self.lab.access_memory(self.session, "nic0", iova=mapping["iova"], lengthBytes=64, access="write")
        self.assertEqual(access["verdict"], "ok")
        self.assertEqual([each["id"] for each in self.lab.each(self.lab.list_mappings, self.session)], [mapping["id"]])
        self.lab.sync_mapping(self.session, "nic0", mapping["id"], for_="cpu")
        unmapped = self.lab.unmap_mapping(self.session, "nic0", mapping["id"], cpu=0)
        self.assertTrue(unmapped["exposed"])
        self.assertEqual(self.lab.get_page_table(self.session, domain=self.domain(), iova=mapping["iova"])["present"], False)

    def domain(self) -> str:
        return self.lab.list_domains(self.session)["items"][0]["id"]

    def test_problems_are_exceptions(self) -> None:
        with self.assertRaises(ProblemError) as caught:
            self.lab.create_buffer(self.session, lengthBytes=-1)
        error = caught.exception
        self.assertEqual((error.status, error.code, error.path, error.retryable), (400, "invalid-body", "/lengthBytes", False))
        self.assertIn("/lengthBytes", str(error))
        with self.assertRaises(ProblemError) as caught:
            self.lab.get_session("nobody")
        self.assertEqual((caught.exception.status, caught.exception.code), (404, "unknown-session"))
        with self.assertRaises(TypeError):
            self.lab.get_session(self.session, tiemout=1)

    def test_null_and_absent_are_two_things(self) -> None:
        self.lab.rename_session(self.session, expiresAt="2099-01-01T00:00:00Z")
        self.assertIn("expiresAt", self.lab.rename_session(self.session, title="with an end"))
        self.assertNotIn("expiresAt", self.lab.rename_session(self.session, expiresAt=None))

    def test_pages(self) -> None:
        for i in range(7):
            self.lab.create_tenant(self.session, name=f"vm{i}", kind="vm")
        names = [each.get("name") for each in self.lab.each(self.lab.list_tenants, self.session, limit=2)]
        self.assertEqual([name for name in names if name and name.startswith("vm")], [f"vm{i}" for i in range(7)])

    def test_an_operation_may_depend_on_the_reply_before_it(self) -> None:
        replies: List[Dict[str, Any]] = []

        def source() -> Iterator[Dict[str, Any]]:
            yield {"op": "buffer", "lengthBytes": 4096}
            while len(replies) < 1:
                time.sleep(0.001)
            buffer = replies[0]["result"]["id"]
            yield {"op": "map", "device": "nic0", "kind": "single", "direction": "to-device", "buffer": buffer}

        for reply in self.lab.ops(self.session, source()):
            replies.append(reply)
        self.assertEqual([(each["op"], each["ok"]) for each in replies], [("buffer", True), ("map", True)])

    def test_many_operations_from_a_source(self) -> None:
        count = 20_000
        last = None
        for last in self.lab.ops(self.session, ({"op": "advance", "ns": 10} for _ in range(count))):
            pass
        self.assertEqual((last or {})["line"], count)
        self.assertEqual(self.lab.get_session(self.session)["timeNs"], 10 * count)

    def test_a_source_that_fails_fails_the_loop(self) -> None:
        def source() -> Iterator[Dict[str, Any]]:
            yield {"op": "advance", "ns": 1}
            raise KeyError("of the source")

        with self.assertRaisesRegex(KeyError, "of the source"):
            list(self.lab.ops(self.session, source()))

    def test_a_loop_may_be_left(self) -> None:
        for reply in self.lab.ops(self.session, ({"op": "advance", "ns": 1} for _ in range(1_000_000))):
            if reply["line"] == 5:
                break
        self.lab.get_session(self.session)

    def test_what_fails_ends_the_list(self) -> None:
        operations = [{"op": "advance", "ns": 1}, {"op": "advance", "ns": -1}, {"op": "advance", "ns": 1}]
        self.assertEqual([each["ok"] for each in self.lab.ops(self.session, operations)], [True, False])
        with self.assertRaisesRegex(ProblemError, "line 2"):
            self.lab.results(self.session, operations)

    def test_snapshots_go_elsewhere(self) -> None:
        self.lab.results(self.session, [{"op": "buffer", "lengthBytes": 8192}, {"op": "advance", "ns": 5000}])
        digest = self.lab.get_session(self.session)["digest"]
        taken = self.lab.take_snapshot(self.session, title="here")
        document = self.lab.download_snapshot(self.session, taken["id"])
        copy = self.lab.create_session(fromSnapshot=document, name=f"{self.session}-copy")
        self.assertEqual(copy["digest"], digest)
        self.lab.delete_session(copy["id"])

    def test_other_types_of_replies(self) -> None:
        self.assertIn("openapi: 3.1", self.lab.get_contract())
        self.assertIn("# TYPE", self.lab.get_server_metrics())
        self.assertIsInstance(self.lab.get_metrics(self.session, accept="text/plain"), str)


class Longer(unittest.TestCase):
    def test_a_run(self) -> None:
        lab = Lab()
        lab.create_session(name="py-run", preset="thread-2008")
        seen: List[str] = []
        run = lab.run("py-run", forNs=5_000_000, on_progress=lambda each: seen.append(each["state"]))
        self.assertEqual((run["state"], seen[-1]), ("finished", "finished"))
        row = flatten(run["result"])
        self.assertGreater(row["exposure.potential.peakPages"], 0)
        self.assertIn("workloads.rx.throughputGbps", row)
        with self.assertRaisesRegex(ConnectionLost, "has not ended within"):
            lab.run("py-run", forNs=10_000_000_000, timeout=0)
        lab.delete_session("py-run")

    def test_an_experiment_as_rows(self) -> None:
        lab = Lab()
        experiment = lab.experiment(
            base={"preset": "thread-2008"},
            vary={"policy.invalidation.kind": ["strict", "deferred-2008"]},
            until={"ns": 2_000_000},
            seeds=[1, 2],
        )
        self.assertEqual(experiment["state"], "finished")
        arms = lab.experiment_arms(experiment["id"])
        self.assertEqual({each.get("policy.invalidation.kind") for each in arms}, {"strict", "deferred-2008", None})
        for arm in arms:
            self.assertLessEqual(arm["cyclesPerOperation.low"], arm["cyclesPerOperation"])
            self.assertIn("exposure.pageSeconds", arm)
        rows = lab.experiment_rows(experiment["id"])
        self.assertEqual(len(rows), 2 * len(arms))
        self.assertTrue(all(not isinstance(value, dict) for row in rows for value in row.values()))
        csv = lab.get_experiment_results(experiment["id"], accept="text/csv")
        self.assertIsInstance(csv, str)
        parquet = lab.get_experiment_results(experiment["id"], accept="application/vnd.apache.parquet")
        self.assertEqual(parquet[:4], b"PAR1")
        self.assertIn("<html", lab.get_experiment_report(experiment["id"]))
        self.assertTrue(lab.get_experiment_report(experiment["id"], accept="text/markdown").startswith("#"))


#: A DMA that faults: what the topic `faults` tells of.
FAULT = {"op": "dma", "device": "nic0", "iova": "0x5000", "lengthBytes": 64, "access": "write"}


class Streams(unittest.TestCase):
    def play(self, way: str) -> None:
        lab = Lab()
        name = f"py-stream-{way}"
        lab.create_session(name=name, devices=[{"name": "nic0", "kind": "nic"}])
        with lab.stream(name, ["faults", "runs"], way=way) as stream:
            # Connected only when something is asked for: what happens then must be seen.
            later(lambda: lab.results(name, [FAULT]))
            first = next(stream)
            self.assertEqual((first["type"], len(first["data"]["items"])), ("faults", 1))
            place = stream.place
        self.assertEqual(place, {"epoch": first["epoch"], "sequence": first["sequence"]})
        # Missed, and given to who goes on from there.
        lab.results(name, [FAULT, FAULT])
        with lab.stream(name, ["faults"], after=place, way=way) as stream:
            missed = next(stream)
        self.assertEqual((missed["epoch"], missed["sequence"] > first["sequence"], len(missed["data"]["items"])), (first["epoch"], True, 2))
        # Of the time before a reset nothing is left: a gap, never silence.
        lab.reset_session(name)
        seen: List[Dict[str, Any]] = []
        for message in lab.stream(name, ["faults"], after=stream.place, way=way):
            seen.append(message)
            if len(seen) == 1:
                later(lambda: lab.results(name, [FAULT]))
            else:
                lab.delete_session(name)
        # Ended by itself: the session is gone.
        self.assertEqual([(each["type"], each.get("reason")) for each in seen], [("gap", "other-epoch"), ("faults", None)])

    def test_websocket(self) -> None:
        self.play("websocket")

    def test_events(self) -> None:
        self.play("events")

    def test_nothing_is_lost_by_a_cut(self) -> None:
        """The connection goes through a relay that cuts it in the middle: each frame comes once, in order, and no gap."""
        for way in ("websocket", "events"):
            with self.subTest(way):
                lab = Lab()
                name = f"py-cut-{way}"
                lab.create_session(name=name, devices=[{"name": "nic0", "kind": "nic"}])
                relay = Relay(lab.url)
                self.addCleanup(relay.close)
                through = Lab(relay.url)
                stream = through.stream(name, ["faults"], way=way)
                worker = threading.Thread(target=self.busy, args=(lab, name))
                worker.start()
                seen: List[Dict[str, Any]] = []
                for message in stream:
                    seen.append(message)
                    if len(seen) in (3, 9):
                        relay.cut()
                    if len(seen) >= 15:
                        break
                stream.close()
                worker.join()
                self.assertEqual({each["type"] for each in seen}, {"faults"})
                items = [item["timeNs"] for each in seen for item in each["data"]["items"]]
                self.assertEqual(items, sorted(items))
                self.assertGreaterEqual(relay.connections, 3)
                # Against a stream that was never cut.
                first = {"epoch": seen[0]["epoch"], "sequence": seen[0]["sequence"] - 1}
                whole = lab.stream(name, ["faults"], after=first)
                self.assertEqual([next(whole) for _ in seen], seen)
                whole.close()
                lab.delete_session(name)

    @staticmethod
    def busy(lab: Lab, name: str) -> None:
        for _ in range(25):
            time.sleep(0.12)
            lab.results(name, [FAULT, {"op": "advance", "ns": 1000}])

    def test_refused_for_good(self) -> None:
        for way in ("websocket", "events"):
            with self.assertRaises(ProblemError) as caught:
                next(Lab().stream("nobody", way=way))
            self.assertEqual(caught.exception.code, "unknown-session")

    def test_closed_for_good_by_the_server(self) -> None:
        def server(connection: socket.socket) -> None:
            answer_upgrade(connection)
            connection.recv(65536)
            connection.sendall(b"\x88" + bytes([2 + 4]) + struct.pack("!H", 4503) + b"gone")
            connection.recv(65536)

        with FakeServer(server) as fake:
            with self.assertRaises(StreamEnded) as caught:
                next(Lab(fake.url).stream("any"))
            self.assertEqual((caught.exception.code, caught.exception.reason), (4503, "gone"))

    def test_gives_up(self) -> None:
        with FakeServer(lambda connection: None) as fake:
            with self.assertRaisesRegex(ConnectionLost, "given up"):
                next(Lab(fake.url).stream("any", give_up=0.5))

    def test_frames_in_pieces_and_pings(self) -> None:
        """Fragments, a ping between them, 16-bit lengths: what a server may send."""
        pongs: List[bytes] = []

        def server(connection: socket.socket) -> None:
            answer_upgrade(connection)
            connection.recv(65536)
            text = json.dumps({"type": "events", "epoch": "e", "sequence": 1, "data": "ü" * 300}).encode("utf-8")
            connection.sendall(b"\x01" + bytes([100]) + text[:100])
            connection.sendall(b"\x89\x02hi")
            head, body = connection.recv(6), connection.recv(2)
            pongs.append(head[:2] + bytes(each ^ head[2 + i] for i, each in enumerate(body)))
            rest = text[100:]
            connection.sendall(b"\x80\x7e" + struct.pack("!H", len(rest)) + rest)
            connection.recv(65536)

        with FakeServer(server) as fake:
            stream = Lab(fake.url).stream("any")
            self.assertEqual(next(stream)["data"], "ü" * 300)
            stream.close()
        self.assertEqual(pongs, [b"\x8a\x82hi"])


class Broken(unittest.TestCase):
    """Against a server that does what a network does."""

    def test_a_post_is_tried_again_under_its_key(self) -> None:
        keys: List[str] = []

        def server(connection: socket.socket) -> None:
            head = connection.recv(65536).decode("ascii")
            keys.extend(re.findall(r"(?i)idempotency-key: (\S+)", head))
            if len(keys) < 3:
                return  # Cut without a word.
            reply(connection, 201, {"id": "ses_1"})

        with FakeServer(server) as fake:
            self.assertEqual(Lab(fake.url).create_session(), {"id": "ses_1"})
        self.assertEqual((len(keys), len(set(keys))), (3, 1))

    def test_what_cannot_be_repeated_is_not(self) -> None:
        for play in (lambda lab: lab.delete_session("a"), lambda lab: lab.create_session(idempotency_key="")):
            asked: List[int] = []

            def server(connection: socket.socket) -> None:
                connection.recv(65536)
                asked.append(1)

            with FakeServer(server) as fake:
                with self.assertRaises(ConnectionLost):
                    play(Lab(fake.url))
            self.assertEqual(len(asked), 1)

    def test_refused_for_now_is_tried_again_whatever_it_is(self) -> None:
        asked: List[int] = []
        problem = {"type": "/problems/overloaded", "title": "t", "status": 503, "detail": "d", "code": "overloaded", "retryable": True}

        def server(connection: socket.socket) -> None:
            connection.recv(65536)
            asked.append(1)
            if len(asked) < 3:
                reply(connection, 503, problem, "retry-after: 0\r\n")
            else:
                reply(connection, 200, {"id": "a"})

        with FakeServer(server) as fake:
            self.assertEqual(Lab(fake.url).delete_session("a"), {"id": "a"})
            asked.clear()
            with self.assertRaises(ProblemError):
                Lab(fake.url, retries=1).delete_session("a")
            asked.clear()
        self.assertEqual(len(asked), 0)

    def test_a_list_of_operations_goes_on_where_the_connection_broke(self) -> None:
        lines = [json.dumps({"line": i, "op": "advance", "ok": True, "result": {}}) + "\n" for i in (1, 2, 3)]
        bodies: List[bytes] = []

        def server(connection: socket.socket) -> None:
            bodies.append(connection.recv(65536))
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
            # One reply more each time; before the last in the middle of a line.
            text = ("".join(lines[: len(bodies)]) + ('{"li' if len(bodies) == 2 else "")).encode("ascii")
            connection.sendall(head + b"%x\r\n%s\r\n" % (len(text), text))
            if len(bodies) == 3:
                connection.sendall(b"0\r\n\r\n")

        with FakeServer(server) as fake:
            replies = list(Lab(fake.url).ops("a", [{"op": "advance", "ns": 1}] * 3))
            self.assertEqual([each["line"] for each in replies], [1, 2, 3])
            self.assertEqual(len({re.search(rb"idempotency-key: (\S+)", each).group(1) for each in bodies}), 1)  # type: ignore[union-attr]
            bodies.clear()
            with self.assertRaises(ConnectionLost):
                list(Lab(fake.url, retries=0).ops("a", [{"op": "advance", "ns": 1}] * 3))

    def test_no_answer_in_time(self) -> None:
        with FakeServer(lambda connection: time.sleep(1)) as fake:
            with self.assertRaisesRegex(ConnectionLost, "no answer in time"):
                Lab(fake.url, timeout=0.1, retries=0).get_version()

    def test_nobody_there_and_no_address(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with self.assertRaisesRegex(ConnectionLost, "cannot be reached"):
            Lab(f"http://127.0.0.1:{port}", retries=0).get_version()
        with self.assertRaisesRegex(ValueError, "no address"):
            Lab("ftp://somewhere")

    def test_a_reply_of_something_else(self) -> None:
        with FakeServer(lambda connection: (connection.recv(65536), reply_text(connection, 502, "<html>bad gateway"))) as fake:
            with self.assertRaises(ProblemError) as caught:
                Lab(fake.url, retries=0).get_version()
            self.assertEqual((caught.exception.code, caught.exception.status), ("http-502", 502))


@unittest.skipUnless("IOMMU_LAB_GUARDED_URL" in os.environ, "without a server that asks for tokens")
class Tokens(unittest.TestCase):
    """Against the server that asks for tokens, below a base path: IOMMU_LAB_GUARDED_URL and IOMMU_LAB_GUARDED_TOKEN."""

    def test_a_token_opens_all_ways(self) -> None:
        url, token = os.environ["IOMMU_LAB_GUARDED_URL"], os.environ["IOMMU_LAB_GUARDED_TOKEN"]
        with self.assertRaises(ProblemError) as caught:
            Lab(url, token="").list_sessions()
        self.assertEqual((caught.exception.status, caught.exception.code), (401, "unauthenticated"))
        lab = Lab(url, token)
        self.assertEqual(lab.who_am_i()["scope"], "write")
        lab.create_session(name="py-guarded", devices=[{"name": "nic0", "kind": "nic"}])
        self.assertEqual(lab.results("py-guarded", [{"op": "advance", "ns": 7}])[0]["timeNs"], 7)
        for way in ("websocket", "events"):
            with self.assertRaises(ProblemError):
                next(Lab(url, token="").stream("py-guarded", way=way))
            with lab.stream("py-guarded", ["faults"], way=way) as stream:
                later(lambda: lab.results("py-guarded", [FAULT]))
                self.assertEqual(next(stream)["type"], "faults")
        lab.delete_session("py-guarded")


def later(play: Callable[[], Any]) -> None:
    threading.Timer(0.3, play).start()


# ---------------------------------------------------------------------------------------------------- servers that break


def reply(connection: socket.socket, status: int, document: Dict[str, Any], more: str = "") -> None:
    kind = "application/json" if status < 400 else "application/problem+json"
    reply_text(connection, status, json.dumps(document), f"content-type: {kind}\r\n{more}")


def reply_text(connection: socket.socket, status: int, text: str, headers: str = "") -> None:
    body = text.encode("utf-8")
    head = f"HTTP/1.1 {status} X\r\n{headers}content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    connection.sendall(head.encode("ascii") + body)


def answer_upgrade(connection: socket.socket) -> None:
    import base64
    import hashlib

    head = connection.recv(65536).decode("ascii")
    key = re.search(r"(?i)sec-websocket-key: (\S+)", head).group(1)  # type: ignore[union-attr]
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode("ascii")).digest()).decode("ascii")
    connection.sendall(
        f"HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n".encode("ascii")
    )


class FakeServer:
    """Gives each connection to `play`, and closes it behind it."""

    def __init__(self, play: Callable[[socket.socket], Any]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._play = play
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "FakeServer":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._play(connection)
                except OSError:
                    pass


class Relay:
    """Passes bytes on to a server, until it is told to cut."""

    def __init__(self, url: str) -> None:
        host, port = url[len("http://") :].split(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: List[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            there = socket.create_connection(self._target)
            self.connections += 1
            self._open += [here, there]
            for source, target in ((here, there), (there, here)):
                threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        try:
            while True:
                part = source.recv(65536)
                if not part:
                    break
                target.sendall(part)
        except OSError:
            pass
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self) -> None:
        for each in self._open:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()
        self._open.clear()

    def close(self) -> None:
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class File(unittest.TestCase):
    def test_rows(self) -> None:
        document = {"a": 1, "b": {"c": 2, "d": {"e": None}}, "workloads": [{"name": "rx", "x": 1}], "list": [{"y": 1}]}
        self.assertEqual(flatten(document), {"a": 1, "b.c": 2, "b.d.e": None, "workloads.rx.x": 1, "list": [{"y": 1}]})

    def test_it_is_python_3_9(self) -> None:
        import ast

        ast.parse(Path(iommu_lab.__file__).read_text("utf-8"), feature_version=(3, 9))


if __name__ == "__main__":
    unittest.main(verbosity=2)
