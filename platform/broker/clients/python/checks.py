"""The checks of `checks.txt`, in terms of what a client offers; each client has a file that says how it does that.

A client is an object with these methods; one that the client does not have raises `Absent` with the reason:
    create(topic, partitions)                 read(topic, partition, start, count, committed=False)
    send(topic, values, partition=None, codec="none", idempotent=False)
    transaction(id)      with send(topic, values), offsets(group, topic, partition, offset), end(commits)
    committed(group, topic, partition)
    member(group, topic, assignor=None, instance=None, protocol="classic")
                         with poll() -> values, assigned() -> partitions, commit(), close()
and `admin_*`, one for each check of administration. `start` is "start", an offset, or ("time", milliseconds).
"""

import sys
import threading
import time
import traceback
import uuid

DEADLINE = 40


class Absent(Exception):
    """The client has no such thing."""


def until(what, condition, deadline=DEADLINE):
    end = time.monotonic() + deadline
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {deadline} s: {what() if callable(what) else what}")
        time.sleep(0.02)
    return found


def expect(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {str(found)[:200]} instead of {str(wanted)[:200]}")


def unique(what):
    return f"{what}-{uuid.uuid4().hex[:8]}"


class Reader:
    """A member of a group, read in a thread of its own, as a program would."""

    def __init__(self, client, *arguments, **settings):
        self.values, self.partitions, self.failure = [], set(), None
        self._asked, self._stop = None, False
        self._open = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(client, arguments, settings), daemon=True)
        self._thread.start()

    def _run(self, client, arguments, settings):
        try:
            member = client.member(*arguments, **settings)
            try:
                while not self._stop:
                    self.values += member.poll()
                    self.partitions = set(member.assigned())
                    if self._asked:
                        member.commit()
                        asked, self._asked = self._asked, None
                        asked.set()
            finally:
                self.partitions = set()
                member.close()
        except BaseException as failure:  # shown by whoever waits
            self.failure = failure

    def check(self):
        if self.failure:
            raise self.failure

    def commit(self):
        done = threading.Event()
        self._asked = done
        until("a commit", lambda: self.check() or done.is_set())

    def close(self):
        self._stop = True
        self._thread.join(DEADLINE)
        if self._thread.is_alive():
            raise TimeoutError("a member does not close")
        self.check()


class Members(list):
    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self:
            member._stop = True
        for member in self:
            member._thread.join(DEADLINE)

    def share(self, partitions):
        """All partitions are with exactly one of them, and none is without."""

        def shared():
            for member in self:
                member.check()
            held = [member.partitions for member in self]
            return all(held) and sorted(sum(map(list, held), [])) == list(range(partitions))

        until(lambda: f"partitions {[sorted(member.partitions) for member in self]}", shared)

    def have(self, wanted):
        def values():
            for member in self:
                member.check()
            return sorted(value for member in self for value in member.values)

        until(lambda: f"{len(values())} of {len(wanted)} values", lambda: len(values()) >= len(wanted))
        expect(values(), sorted(wanted), "values read")


class Checks:
    def __init__(self, client):
        self.client = client

    def topic(self, partitions=1):
        name = unique("topic")
        self.client.create(name, partitions)
        return name

    def produce(self, codec):
        topic = self.topic()
        values = [f"{codec} {number} ".encode() * 20 for number in range(200)]
        self.client.send(topic, values, 0, codec)
        expect(self.client.read(topic, 0, "start", 200), values, "values")

    def idempotent_producer(self):
        topic = self.topic()
        values = [str(number).encode() for number in range(1000)]
        self.client.send(topic, values, 0, idempotent=True)
        expect(self.client.read(topic, 0, "start", 1000), values, "values")

    def transactions(self):
        topic = self.topic()
        transaction = self.client.transaction(unique("id"))
        for number, commits in enumerate([True, False, True]):
            transaction.send(topic, [f"{number}.{part}".encode() for part in range(10)])
            transaction.end(commits)
        every = [f"{number}.{part}".encode() for number in range(3) for part in range(10)]
        kept = [value for value in every if not value.startswith(b"1")]
        expect(self.client.read(topic, 0, "start", 20, committed=True), kept, "committed values")
        expect(self.client.read(topic, 0, "start", 30), every, "all values")

    def offsets_in_a_transaction(self):
        topic, group = self.topic(), unique("group")
        transaction = self.client.transaction(unique("id"))
        for offset, commits in [(3, True), (7, False), (5, True)]:
            transaction.send(topic, [b"copy"])
            transaction.offsets(group, topic, 0, offset)
            transaction.end(commits)
            expect(self.client.committed(group, topic, 0), 5 if offset == 5 else 3, f"committed after {offset}")

    def consume_from_the_start(self):
        topic = self.topic()
        self.client.send(topic, [b"1", b"2", b"3"], 0)
        expect(self.client.read(topic, 0, "start", 3), [b"1", b"2", b"3"], "values")

    def consume_from_the_end(self):
        topic = self.topic()
        self.client.send(topic, [b"old"], 0)
        found = self.client.read(topic, 0, "end", 1, meanwhile=lambda: self.client.send(topic, [b"new"], 0))
        expect(found, [b"new"], "values")

    def consume_from_an_offset(self):
        topic = self.topic()
        self.client.send(topic, [str(number).encode() for number in range(10)], 0)
        expect(self.client.read(topic, 0, 7, 3), [b"7", b"8", b"9"], "values")

    def consume_from_a_time(self):
        topic = self.topic()
        self.client.send(topic, [b"1", b"2"], 0)
        # A time that lies between the two, whatever the clock's grain.
        between = int(time.time() * 1000) + 1
        until("the clock", lambda: time.time() * 1000 > between + 1)
        self.client.send(topic, [b"3"], 0)
        expect(self.client.read(topic, 0, ("time", between), 1), [b"3"], "values")

    def group(self, assignor, protocol="classic"):
        topic, group = self.topic(4), unique("group")
        with Members() as members:
            members += [Reader(self.client, group, topic, assignor, protocol=protocol) for _ in range(2)]
            members.share(4)
            values = [str(number).encode() for number in range(40)]
            for partition in range(4):
                self.client.send(topic, values[partition::4], partition)
            members.have(values)
            for member in members:
                member.commit()
            members.pop().close()
            # What the one leaves the other takes over, behind what was committed.
            until("everything to be with one", lambda: members[0].check() or len(members[0].partitions) == 4)

    def commit_and_go_on(self):
        topic, group = self.topic(), unique("group")
        self.client.send(topic, [b"1", b"2"], 0)
        with Members([Reader(self.client, group, topic)]) as members:
            members.have([b"1", b"2"])
            members[0].commit()
            members[0].close()
        self.client.send(topic, [b"3"], 0)
        with Members([Reader(self.client, group, topic)]) as members:
            members.have([b"3"])

    def static_member(self):
        topic, group = self.topic(4), unique("group")
        with Members() as members:
            members += [Reader(self.client, group, topic, "range", instance=name) for name in ("one", "two")]
            members.share(4)
            before = [set(member.partitions) for member in members]
            members[1].close()
            members[1] = Reader(self.client, group, topic, "range", instance="two")
            until("the same partitions", lambda: members[1].check() or members[1].partitions == before[1])
            expect(members[0].partitions, before[0], "partitions of who stayed")

    def run(self, names):
        """Runs the checks by name; whether none has failed."""
        print("client", self.client.name, self.client.version, sep="\t", flush=True)
        good = True
        for name in names:
            words = name.split()
            if words[0] == "produce":
                check = lambda: self.produce(words[1])
            elif name == "group protocol consumer":
                check = lambda: self.group(None, "consumer")
            elif words[0] == "group":
                check = lambda: self.group(words[1])
            elif words[0] == "admin":
                check = lambda: getattr(self.client, f"admin_{words[1].lower()}")()
            else:
                check = getattr(self, name.replace(" ", "_"))
            started = time.monotonic()
            try:
                check()
                result, reason = "ok", f"{time.monotonic() - started:.1f} s"
            except Absent as absent:
                result, reason = "absent", str(absent)
            except AttributeError as missing:
                # Older versions lack what newer ones have.
                result, reason = "absent", f"{self.client.name} {self.client.version}: {missing}"
            except BaseException as failure:  # whatever a client raises
                good = False
                result, reason = "failed", f"{type(failure).__name__}: {failure}".replace("\n", " ")[:300]
                traceback.print_exc()
            print(name, result, reason, sep="\t", flush=True)
        return good


def main(client):
    """`PROGRAM BOOTSTRAP CHECKS.TXT [PART OF A NAME]`"""
    bootstrap, listed = sys.argv[1:3]
    wanted = sys.argv[3] if len(sys.argv) > 3 else ""
    with open(listed, encoding="utf-8") as lines:
        names = [line.rstrip("\n").split("\t")[0] for line in lines]
    good = Checks(client(bootstrap)).run([name for name in names if wanted in name])
    sys.stdout.flush()
    # A client's threads that do not end must not keep the program.
    import os

    os._exit(0 if good else 1)
