"""What has come back from the machines of a cluster: on disk, since there may be millions of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rag.cluster.stages import Receipt
from rag.sources.divided import Found, Share
from rag.types import Entry


class Tally:
    """Of one pass over the source. A parcel counts once, however often it was done."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a file of its own that goes with the connection
        self._db.execute("CREATE TABLE receipts (share TEXT, number INT, last INT, PRIMARY KEY (share, number))")
        self._db.execute("CREATE TABLE twins (key BLOB PRIMARY KEY, version TEXT, new INT, entry TEXT, followed INT)")
        self._db.execute("CREATE TABLE read (version TEXT, key BLOB, PRIMARY KEY (version, key)) WITHOUT ROWID")
        self._db.execute("CREATE INDEX versions ON twins (version, new, followed)")
        self.counts = {"added": 0, "changed": 0, "unchanged": 0}
        self.embedded = 0
        self._found: list[Found] = []

    def take(self, receipt: Receipt) -> bool:
        """False for a parcel whose receipt was there already."""
        sql = "INSERT OR IGNORE INTO receipts VALUES (?, ?, ?)"
        if not self._db.execute(sql, [str(receipt.share), receipt.number, receipt.last]).rowcount:
            return False
        for name in self.counts:
            self.counts[name] += getattr(receipt, name)
        self.embedded += receipt.embedded
        rows = [(e.key, e.version, new, _as_text(e)) for e, new in receipt.twins]
        self._db.executemany("INSERT OR IGNORE INTO twins VALUES (?, ?, ?, ?, 0)", rows)
        self._db.executemany("INSERT OR IGNORE INTO read VALUES (?, ?)", ((e.version, e.key) for e in receipt.read))
        self._found = [_added_up([*self._found, *receipt.found])]
        return True

    def after(self, earlier: Tally) -> None:
        """What an earlier pass has done, this one has found done."""
        did = earlier.counts["added"] + earlier.counts["changed"]
        self.counts["unchanged"] = max(0, self.counts["unchanged"] - did)
        for name in ("added", "changed"):
            self.counts[name] += earlier.counts[name]
        rows = earlier._db.execute("SELECT version, key FROM read")
        self._db.executemany("INSERT OR IGNORE INTO read VALUES (?, ?)", rows)
        self.embedded += earlier.embedded

    def whole(self, shares: Sequence[Share]) -> bool:
        """Whether there is a receipt for every parcel of every share. Where one is missing, nothing is known of what
        was in it, and nothing may be taken for removed."""
        sql = "SELECT count(*), max(CASE WHEN last THEN number END) FROM receipts WHERE share = ?"
        counts = (self._db.execute(sql, [str(share)]).fetchone() for share in shares)
        return all(last is not None and count == last + 1 for count, last in counts)

    @property
    def found(self) -> list[Found]:
        return self._found

    def doubles(self) -> Iterator[list[bytes]]:
        """The keys of each content that was read more than once: by two machines at the same time, each of which could
        not know of the other."""
        often = "SELECT version FROM read WHERE version != '' GROUP BY version HAVING count(*) > 1"
        for (version,) in self._db.execute(often):
            yield [key for (key,) in self._db.execute("SELECT key FROM read WHERE version = ? ORDER BY key", [version])]

    def twins(self) -> Iterator[Entry]:
        """To be linked to what holds their content, in the order of their keys."""
        for key, version, text in self._db.execute("SELECT key, version, entry FROM twins ORDER BY key"):
            yield Entry(key, version=version, **json.loads(text))

    def follow(self, version: str) -> bool:
        """Whether a new file has this content, which one had that is gone: then that one has moved, and each can have
        moved but once."""
        sql = "SELECT key FROM twins WHERE version = ? AND new AND NOT followed LIMIT 1"
        if (found := self._db.execute(sql, [version]).fetchone()) is None:
            return False
        self._db.execute("UPDATE twins SET followed = 1 WHERE key = ?", found)
        return True

    def close(self) -> None:
        self._db.close()


def _as_text(entry: Entry) -> str:
    values = asdict(entry)
    return json.dumps({name: values[name] for name in ("name", "uri", "size")})


def _added_up(found: Sequence[Found]) -> Found:
    """As one, so that a million receipts take no more room than one."""
    passed: dict[str, int] = {}
    for told in found:
        for what, count in told.passed.items():
            passed[what] = passed.get(what, 0) + count
    unreadable = dict.fromkeys(path for told in found for path in told.unreadable)
    collections = dict.fromkeys(path for told in found for path in told.collections)
    return Found(passed, tuple(unreadable), tuple(collections), all(told.whole for told in found))
