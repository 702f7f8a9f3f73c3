#!/usr/bin/env python3
"""A Python client of ksqlDB against any server: information, statements, inserts, pull and push queries.

    pip install ksql-python-ng 'httpx[http2]<0.28'
    scripts/ksql-clients.py ksql-python-ng http://127.0.0.1:8088

Uses streams of its own and drops them; ends with 1 where something is not as it should be.
"""
import asyncio
import itertools
import sys
import uuid

EARLIEST = {"auto.offset.reset": "earliest"}
ROWS = [{"K": "a", "N": 1}, {"K": "b", "N": 2}, {"K": "a", "N": 3}]
NAME = f"C{uuid.uuid4().hex[:8]}".upper()
CREATE = (
    f"CREATE STREAM {NAME} (k STRING KEY, n INT) WITH (kafka_topic='{NAME}', value_format='JSON', partitions=1);"
)
COUNT = f"CREATE TABLE {NAME}_COUNT AS SELECT k, COUNT(*) AS c FROM {NAME} GROUP BY k;"
PUSH = f"SELECT k, n FROM {NAME} EMIT CHANGES LIMIT 3;"
PULL = f"SELECT k, c FROM {NAME}_COUNT WHERE k = 'a';"
DROP = f"DROP TABLE {NAME}_COUNT DELETE TOPIC; DROP STREAM {NAME} DELETE TOPIC;"

done = []


def check(what, holds, seen=""):
    if not holds:
        sys.exit(f"failed: {what} {seen}")
    done.append(what)


def until(what, ask, expected):
    """Asks until the answer is there: what was inserted is counted soon, not at once."""
    for _ in range(200):
        seen = ask()
        if seen == expected:
            break
    check(what, seen == expected, seen)


def refused(call):
    """Whatever each client makes of a refusal, it tells the server's words."""
    try:
        answer = call()
    except Exception as error:
        answer = repr(error)
    check("an error", "Syntax Error" in str(answer), answer)


def ksql_python_ng(url):
    from ksql import KSQLAPI

    client = KSQLAPI(url)
    check("information", client.get_ksql_version() == "7.9.8")
    check("a stream", client.ksql(CREATE)[0]["commandStatus"]["status"] == "SUCCESS")
    client.ksql(COUNT, stream_properties=EARLIEST)
    inserted = client.inserts_stream(NAME, ROWS)
    check("inserts", [row["status"] for row in inserted] == ["ok"] * 3, inserted)
    for over, use_http2 in [("HTTP/1.1", False), ("HTTP/2", True)]:
        rows = "".join(client.query(PUSH, stream_properties=EARLIEST, use_http2=use_http2))
        check(f"a push query over {over}", rows.split()[1:] == ['["a",1]', '["b",2]', '["a",3]'], rows)
    until(
        "a pull query",
        lambda: '["a",2]' in "".join(client.query(PULL, use_http2=False)),
        True,
    )
    refused(lambda: client.ksql("CREATE STREAM;"))
    client.ksql(DROP)


def ksqldb(url):
    from ksqldb import KSQLdbClient

    client = KSQLdbClient(url)
    check("information", any(p["name"] == "ksql.service.id" for p in client.get_properties()))
    check("a stream", client.ksql(CREATE)[0]["commandStatus"]["status"] == "SUCCESS")
    client.ksql(COUNT, stream_properties=EARLIEST)
    inserted = client.inserts_stream(NAME, ROWS)
    check("inserts", [row["status"] for row in inserted] == ["ok"] * 3, inserted)

    async def pushed():
        return [row async for row in client.query_async(PUSH, stream_properties=EARLIEST)]

    rows = asyncio.run(pushed())
    check("a push query", rows[0]["columnNames"] == ["K", "N"] and rows[1:] == [["a", 1], ["b", 2], ["a", 3]], rows)
    until("a pull query", lambda: client.query_sync(PULL)[1:], [["a", 2]])
    client.ksql(DROP)


def jetblack_ksql_dbapi(url):
    from jetblack_ksql_dbapi._ksql_client import KsqlDbClient

    client = KsqlDbClient(url)
    check("information", client.info()["KsqlServerInfo"]["serverStatus"] == "RUNNING")
    check("health", client.healthcheck()["isHealthy"])
    check("a stream", client.ksql(CREATE)[0]["commandStatus"]["status"] == "SUCCESS")
    client.ksql(COUNT, streams_properties=EARLIEST)
    inserted = list(client.inserts_stream(NAME, ROWS))
    check("inserts", [row["status"] for row in inserted] == ["ok"] * 3, inserted)
    rows = list(itertools.islice(client.query_stream(PUSH, properties=EARLIEST), 3))
    check("a push query", rows == ROWS, rows)
    until("a pull query", lambda: list(client.query_stream(PULL)), [{"K": "a", "C": 2}])
    refused(lambda: client.ksql("CREATE STREAM;"))
    client.ksql(DROP)


CLIENTS = {
    "ksql-python-ng": ksql_python_ng,
    "ksqldb": ksqldb,
    "jetblack-ksql-dbapi": jetblack_ksql_dbapi,
}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in CLIENTS:
        sys.exit(__doc__)
    CLIENTS[sys.argv[1]](sys.argv[2])
    print(f"{sys.argv[1]}: {len(done)} of {len(done)}: {', '.join(done)}")
