#!/usr/bin/env python3
"""Asks two ksqlDB servers the same and prints what they answer differently.

    scripts/ksql-compare.py http://127.0.0.1:8088 http://other:8088

Both have to be empty: the statements create streams, tables and topics with short names, and drop them at the end. What
is asked: the demo's own statements of ksql/, and the statements, expressions and rows of platform/ksqldb/tests/recorded.
Ends with 1 where something differs, and with 2 where it cannot be asked.
"""
import http.client
import json
import pathlib
import re
import sys
import time
from urllib.parse import urlsplit

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORDED = ROOT / "platform/ksqldb/tests/recorded"
EARLIEST = {"auto.offset.reset": "earliest"}
# What is different between any two servers, or two runs of one.
OWN = [
    (re.compile(r"transient_(\w+?)_\d+"), r"transient_\1_N"),
    (re.compile(r"(query|CSAS|CTAS|CST|INSERTQUERY)_(\w*?)_?\d+"), r"\1_\2_N"),
    (re.compile(r"query_\d+"), "query_N"),
    (re.compile(r'"commandSequenceNumber": -?\d+'), '"commandSequenceNumber": N'),
]


class Server:
    def __init__(self, url):
        parts = urlsplit(url)
        self.address = (parts.hostname, parts.port or 8088)

    def ask(self, path, body, patience=60):
        connection = http.client.HTTPConnection(*self.address, timeout=patience)
        headers = {"Content-Type": "application/json", "Accept": "application/vnd.ksql.v1+json"}
        try:
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8", "replace")
        finally:
            connection.close()

    def ksql(self, statements, properties=EARLIEST):
        return self.ask("/ksql", {"ksql": statements, "streamsProperties": properties})

    def rows(self, query):
        return self.ask("/query", {"ksql": query, "streamsProperties": EARLIEST})

    def listed(self, kind):
        status, body = self.ksql(f"SHOW {kind};")
        if status != 200:
            sys.exit(f"ksql-compare: SHOW {kind} is answered {status}: {body[:200]}")
        return json.loads(body)[0][kind.lower()]

    def sources(self):
        sources = [("STREAM", s["name"]) for s in self.listed("STREAMS")]
        sources += [("TABLE", t["name"]) for t in self.listed("TABLES")]
        return [source for source in sources if source[1] != "KSQL_PROCESSING_LOG"]

    def clear(self):
        """Drops everything: what reads from others first, so in as many rounds as that takes."""
        for _ in range(20):
            for query in self.listed("QUERIES"):
                if query["queryType"] == "PERSISTENT":
                    self.ksql(f"TERMINATE {query['id']};")
            left = self.sources()
            if not left:
                return
            for kind, name in left:
                status, _ = self.ksql(f"DROP {kind} `{name}` DELETE TOPIC;")
                if status != 200:
                    self.ksql(f"DROP {kind} `{name}`;")
        sys.exit(f"ksql-compare: cannot drop {self.sources()}")

    def make_topic(self, name, partitions=1):
        self.ksql(
            f"CREATE STREAM compared_topic (x INT) WITH (kafka_topic='{name}', value_format='JSON', "
            f"partitions={partitions});"
            "DROP STREAM compared_topic;"
        )


def told(answer):
    """An answer without what is the server's own."""
    status, text = answer
    try:
        text = json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        pass
    for pattern, instead in OWN:
        text = pattern.sub(instead, text)
    return status, text


def meaning(answer):
    """Of an answer: its status, and the code and text of an error or the message of what was done."""
    status, text = told(answer)
    try:
        body = json.loads(text)
    except ValueError:
        return status, text
    if isinstance(body, dict):
        return status, body.get("error_code"), body.get("message")
    return status, [(e.get("commandStatus") or {}).get("message") or e.get("message") or e["@type"] for e in body]


def lines_of(name):
    return [json.loads(line) for line in (RECORDED / name).read_text().splitlines()]


def compare(servers):
    """Yields what was asked and the two answers."""

    def both(what, ask, tell):
        return what, *(tell(ask(server)) for server in servers)

    for file in sorted((ROOT / "ksql").glob("*.sql")):
        text = file.read_text()
        yield both(file.name, lambda server: server.ksql(text), meaning)
    for listing in ["SHOW STREAMS;", "SHOW TABLES;", "SHOW TYPES;", "SHOW FUNCTIONS;", "DESCRIBE PROCESSES;"]:
        yield both(listing, lambda server: server.ksql(listing), told)
    for server in servers:
        server.clear()

    setup = json.loads((RECORDED / "setup.json").read_text())
    row = (
        "INSERT INTO d (k, i, b, d, dec, dec2, s, s2, bo, ts, dt, tm, ai, m, ms, st, js) VALUES ('k1', 5, 7, 2.5, 12.34, "
        "1.125, 'abc', 'one two', true, '2020-02-03T04:05:00.123', '2020-02-03', '13:45:00', ARRAY[1, 2, 3], "
        "MAP('a' := 1, 'b' := 2), MAP('x' := 'y'), STRUCT(a := 1, b := 'q', c := ARRAY[7, 8]), "
        "'{\"a\":1,\"b\":{\"c\":\"x\"}}');"
    )
    yield both(setup["ddl"], lambda server: server.ksql(setup["ddl"]), meaning)
    yield both(row, lambda server: server.ksql(row), meaning)
    for refusal in lines_of("refusals.jsonl"):
        yield both(refusal["ksql"], lambda server: server.ksql(refusal["ksql"]), meaning)
    for asked in lines_of("expressions.jsonl"):
        query = f"SELECT {asked['expression']} AS r FROM d EMIT CHANGES LIMIT 1;"
        if re.search("ROWTIME|RANDOM|UUID|UNIX_", query):
            continue
        yield both(query, lambda server: server.rows(query), told)
    for server in servers:
        server.clear()
        for topic in ["s", "t", "u", "p", "a", "w", "x"]:
            server.make_topic(topic)
        server.make_topic("s2", 2)
    for asked in lines_of("statements.jsonl"):
        sql = asked.get("setup") or asked.get("sql") or asked["ksql"]
        properties = {**EARLIEST, **(asked.get("properties") or {})}
        path = asked.get("path", "/ksql")
        yield both(
            sql, lambda server: server.ask(path, {"ksql": sql, "streamsProperties": properties}), meaning
        )
        if "setup" in asked and " AS " in sql:
            # A pull query right after it is to find it running.
            time.sleep(0.3)
    for server in servers:
        server.clear()


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    servers = [Server(url) for url in sys.argv[1:]]
    for url, server in zip(sys.argv[1:], servers):
        try:
            existing = server.sources()
        except OSError as error:
            print(f"ksql-compare: {url} does not answer: {error}", file=sys.stderr)
            return 2
        if existing:
            print(f"ksql-compare: {url} is not empty: it has {existing[0][1]} and more", file=sys.stderr)
            return 2
    asked = different = 0
    for what, left, right in compare(servers):
        asked += 1
        if left != right:
            different += 1
            print(f"{what}\n  A: {left}\n  B: {right}")
    print(f"ksql-compare: {asked} asked, {different} answered differently")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
