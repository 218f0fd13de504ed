"""`make audit`: what constraints.txt pins, against the known vulnerabilities, but for the exceptions in audit.toml.

pip-audit calls everything fine that its database has never heard of, even when it has heard of nothing: here, what
could not be looked up fails, as does an exception that has expired or is of no use any more.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EXCEPTIONS, PINNED = HERE / "audit.toml", HERE.parent / "constraints.txt"
LONGEST = timedelta(days=190)
SHORTEST_REASON = 20  # characters
_ID = re.compile(r"CVE-\d{4}-\d{4,}|GHSA(-[0-9a-z]{4}){3}|PYSEC-\d{4}-\d+")


@dataclass(frozen=True)
class Exemption:
    id: str
    package: str
    reason: str
    until: date


def exemptions(text: str, today: date) -> list[Exemption]:
    """Raises ValueError for one that is badly written, has expired, or holds for longer than half a year."""
    found = []
    for row in tomllib.loads(text).get("exception", []):
        if row.keys() != {"id", "package", "reason", "until"} or not isinstance(row["until"], date):
            raise ValueError(f"an exception has id, package, reason and until (a date), not {row}")
        one = Exemption(**row)
        if not _ID.fullmatch(one.id) or not one.package:
            raise ValueError(f"{one.id!r} of {one.package!r} names no vulnerability of a package")
        if len(one.reason.strip()) < SHORTEST_REASON:
            raise ValueError(f"{one.id} has no reason")
        if one.until <= today:
            raise ValueError(f"{one.id} ({one.package}) was excepted until {one.until}: look at it again")
        if one.until > today + LONGEST:
            raise ValueError(f"{one.id} is excepted until {one.until}; half a year is the most")
        found.append(one)
    return found


def complaints(audited: Mapping[str, Any], excepted: Sequence[Exemption]) -> Iterator[str]:
    """What speaks against releasing this, of pip-audit's JSON."""
    left = {(one.id, one.package.lower()) for one in excepted}
    packages = audited["dependencies"]
    if not packages:
        yield "nothing was looked up"
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped:
        yield f"{len(skipped)} of {len(packages)} packages could not be looked up: {', '.join(skipped[:5])}…"
    for package in packages:
        for found in package.get("vulns", ()):
            names = {(name, package["name"].lower()) for name in (found["id"], *found.get("aliases", ()))}
            if not names & {(one.id, one.package.lower()) for one in excepted}:
                fixed = ", ".join(found.get("fix_versions", ())) or "no version"
                yield f"{package['name']} {package['version']}: {found['id']} (fixed in {fixed})"
            left -= names
    yield from (f"the exception for {id_} ({package}) is of no use any more" for id_, package in sorted(left))


def main(pip_audit: str) -> int:
    excepted = exemptions(EXCEPTIONS.read_text(encoding="utf-8"), date.today())
    command = [pip_audit, "--no-deps", "--disable-pip", "--requirement", str(PINNED), "--format", "json"]
    done = subprocess.run([*command, "--progress-spinner", "off"], stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        print("pip-audit gave no answer; is there a network?", file=sys.stderr)
        return 1
    said = list(complaints(json.loads(done.stdout), excepted))
    print("\n".join(said) or "No known vulnerabilities but those excepted.")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
