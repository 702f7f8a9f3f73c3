"""Frameworks for streams: `frameworks.py FRAMEWORK BOOTSTRAP …`, with faust, quixstreams or faststream.

Each runs a program that reads words and writes what it makes of them. It is killed in the middle of its work and started
anew: nothing may be missing, and with exactly-once nothing may be there twice. `frameworks.py FRAMEWORK worker …` is that program.
"""

import collections
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback

WORDS, EACH = ("alder", "birch", "cedar", "elm"), 100
DEADLINE = 120


def faust_worker(bootstrap, name, folder):
    import faust

    app = faust.App(
        name,
        broker=f"kafka://{bootstrap}",
        datadir=folder,
        store="memory://",
        topic_partitions=2,
        topic_replication_factor=1,
        web_enabled=False,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=1.0,
    )
    words = app.topic(f"{name}-words", value_type=bytes, value_serializer="raw")
    counted = app.topic(f"{name}-counted", value_type=bytes, value_serializer="raw")
    counts = app.Table("counts", default=int, partitions=2)

    # Under another key: by a topic in between; the table has a changelog.
    @app.agent(words)
    async def count(stream):
        async for word in stream.group_by(bytes.decode, name="word"):
            counts[word.decode()] += 1
            await counted.send(value=f"{word.decode()} {counts[word.decode()]}".encode())

    app.finalize()
    worker = faust.Worker(app, loglevel="warn", redirect_stdouts=False)
    worker.execute_from_commandline()


def quixstreams_worker(bootstrap, name, folder):
    import quixstreams

    app = quixstreams.Application(
        broker_address=bootstrap,
        consumer_group=name,
        state_dir=folder,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=0.2,
        consumer_extra_config={"session.timeout.ms": 10000},
    )
    words = app.topic(f"{name}-words", key_deserializer="bytes", value_deserializer="str")
    counted = app.topic(f"{name}-counted", value_serializer="bytes")

    def count(word, state):
        state.set("count", state.get("count", 0) + 1)
        return f"{word} {state.get('count')}".encode()

    frame = app.dataframe(words).group_by(lambda word: word, name="word").apply(count, stateful=True)
    frame.to_topic(counted)
    app.run()


def faststream_worker(bootstrap, name, _):
    import asyncio

    import faststream
    from faststream.kafka import KafkaBroker

    broker = KafkaBroker(bootstrap)

    @broker.subscriber(
        f"{name}-words",
        group_id=name,
        auto_offset_reset="earliest",
        ack_policy=faststream.AckPolicy.NACK_ON_ERROR,
        session_timeout_ms=10000,
    )
    @broker.publisher(f"{name}-counted")
    async def handle(word: bytes) -> bytes:
        return word

    asyncio.run(faststream.FastStream(broker).run())


FRAMEWORKS = {
    "faust": ("aiokafka_client", "faust-streaming", faust_worker, "counts with a changelog, killed"),
    "quixstreams": ("confluent", "quixstreams", quixstreams_worker, "counts exactly once, killed"),
    "faststream": ("aiokafka_client", "faststream", faststream_worker, "reads and writes, killed"),
}


class Worker:
    """The program, in a process of its own."""

    def __init__(self, *arguments):
        command = [sys.executable, "-W", "ignore", __file__, arguments[0], "worker", *arguments[1:]]
        self.process = subprocess.Popen(command, stdout=sys.stderr)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def written(client, name, enough):
    """The words that were written, read until they are enough."""
    end, found = time.monotonic() + DEADLINE, []
    while not enough(found):
        if time.monotonic() > end:
            counts = collections.Counter(value.split()[0].decode() for value in found)
            raise TimeoutError(f"not within {DEADLINE} s: {dict(counts)}")
        try:
            at_least = len(found) + 1
            found += client.read(f"{name}-counted", 0, len(found), at_least - len(found), committed=True)
        except TimeoutError:
            pass
    return found


def numbers(found, word):
    values = (value.decode().split() for value in found)
    return [int(value[1]) for value in values if value[0] == word]


def check(framework, client, bootstrap):
    name = f"{framework}-{os.getpid()}-{int(time.time())}"
    client.create(f"{name}-words", 2)
    client.create(f"{name}-counted", 1)
    words = [word.encode() for _ in range(EACH // 2) for word in WORDS]
    counts = framework != "faststream"
    if not counts:
        words = [f"{word.decode()}{number}".encode() for number, word in enumerate(words)]
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(framework, bootstrap, name, folder)
        try:
            for half in range(2):
                more = words if counts else [b"%s.%d" % (word, half) for word in words]
                for partition in range(2):
                    client.send(f"{name}-words", more[partition::2], partition)
                if half == 0:
                    written(client, name, lambda found: len(found) > 0)
                    worker.kill()
                    worker = Worker(framework, bootstrap, name, folder)
            if counts:
                found = written(client, name, lambda found: all(EACH in numbers(found, word) for word in WORDS))
                for word in WORDS:
                    wanted, have = list(range(1, EACH + 1)), numbers(found, word)
                    if framework == "faust":
                        # At least once: what was counted after the last commit is counted again.
                        have = sorted(set(have))[:EACH]
                    if have != wanted:
                        raise AssertionError(f"{word} was counted as {have}")
            else:
                wanted = {b"%s.%d" % (word, half) for word in words for half in range(2)}
                written(client, name, lambda found: wanted <= set(found))
        finally:
            worker.kill()


def main():
    framework = sys.argv[1]
    module, package, worker, what = FRAMEWORKS[framework]
    if sys.argv[2] == "worker":
        arguments, sys.argv[1:] = sys.argv[3:], []
        worker(*arguments)
        return
    import importlib
    from importlib.metadata import version

    bootstrap = sys.argv[2]
    print("client", package, version(package), sep="\t", flush=True)
    client = importlib.import_module(module).Client(bootstrap)
    started = time.monotonic()
    try:
        check(framework, client, bootstrap)
        print(what, "ok", f"{time.monotonic() - started:.1f} s", sep="\t", flush=True)
    except BaseException as failure:  # whatever a framework raises
        traceback.print_exc()
        reason = f"{type(failure).__name__}: {failure}".replace("\n", " ")[:300]
        print(what, "failed", reason, sep="\t", flush=True)
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
