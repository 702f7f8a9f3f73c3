"""Writes the table of `docs/clients.md` from what the clients printed: `table.py CHECKS.TXT FOLDER`."""

import pathlib
import sys

HEAD = """# Kafka clients on the embedded broker

Each client runs the same checks against `osqdemo serve broker`; `scripts/clients.sh --write` installs and runs them and
writes this page. **ok**: it works. **–**: the client does not have it. **FAILED**: see below the table. A client that could not be
installed where this was made is "not run", with the reason.
"""


def results(lines):
    """What a client has printed of its checks; what its threads still print of their own is none of it."""
    return {line[0]: line[1:] for line in lines if len(line) == 3 and line[0] != "client"}


def main():
    listed, folder = sys.argv[1:3]
    checks = [line.split("\t") for line in pathlib.Path(listed).read_text().splitlines()]
    parts = {}
    absent, failed, missing = [], [], []
    for path in sorted(pathlib.Path(folder).glob("*.tsv")):
        lines = [line.split("\t") for line in path.read_text().splitlines()]
        head = lines[0] if lines and len(lines[0]) == 3 else ["client", path.stem, "not run: it ended at once"]
        name, version = head[1], head[2]
        if version.startswith("not run: "):
            missing.append(f"- {name}: {version.removeprefix('not run: ')}")
            continue
        found = results(lines)
        on_kafka = path.with_suffix(".kafka")
        on_kafka = results(line.split("\t") for line in on_kafka.read_text().splitlines()) if on_kafka.exists() else {}
        parts.setdefault(path.stem.split("-")[0], []).append((f"{name} {version}", found))
        for check, (result, reason) in found.items():
            if result == "absent":
                absent.append((reason, check))
            elif result == "failed":
                fails_there = on_kafka.get(check, ["ok"])[0] == "failed"
                alike = " (on Apache Kafka 4.2 it fails, too)" if fails_there else ""
                failed.append(f"- {name} {version}, {check}{alike}: {reason}")
    print(HEAD)
    for part, title in (("python", "Python"), ("node", "Node"), ("go", "Go"), ("java", "Java"), ("rust", "Rust"), ("c", "C")):
        clients = parts.get(part)
        if not clients:
            continue
        print(f"## {title}\n")
        print("| |", " | ".join(name for name, _ in clients), "|")
        print("|---|" + "---|" * len(clients))
        names = [check for check, *_ in checks]
        names += sorted({check for _, found in clients for check in found} - set(names))
        for check in names:
            if any(check in found for _, found in clients):
                words = {"ok": "ok", "absent": "–", "failed": "**FAILED**"}
                cells = [words[found[check][0]] if check in found else "" for _, found in clients]
                print(f"| {check} |", " | ".join(cells), "|")
        print()
    for title, lines in (("What failed", failed), ("Not run", missing)):
        if lines:
            print(f"## {title}\n")
            print("\n".join(lines), end="\n\n")
    reasons = sorted({reason for reason, _ in absent})
    if reasons:
        print("## What clients do not have\n")
        print("\n".join(f"- {reason}" for reason in reasons), end="\n\n")
    notes = [f"- {check[0]}: {check[1]}" for check in checks if len(check) > 1]
    print("## What the checks are\n")
    notes += [
        "- streams exactly_once_v2: counts by a new key, is closed in the middle of its work; read_committed sees each count once",
        "- streams changelog restore: the same with its state deleted",
        "- kafka-…: each of a tool's commands ends with the exit code that it has on a real Kafka of its version, and, where"
        " that is 0, prints the same lines, but for addresses, ids and times (`platform/broker/clients/java/tools.txt`)",
        "- connect distributed: a file's lines into a topic, exactly once, and out of it into another file; the worker is"
        " stopped in the middle and another goes on",
        "- mirrormaker 2: a topic's records and settings and a group's position, copied to a second broker",
        "- …, killed: the program is killed in the middle of its work and started anew; nothing is missing, and exactly once"
        " nothing is there twice",
    ]
    print("\n".join(notes))


main()
