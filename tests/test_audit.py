"""The exceptions of `make audit`: each has a reason and a day on which it ends. The audit itself needs a network."""

from __future__ import annotations

import importlib.util
import sys
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
TODAY = date(2026, 6, 1)
GOOD = """
[[exception]]
id = "CVE-2026-12345"
package = "pypdf"
reason = "Only in the merger of forms, which is never called."
until = 2026-09-01
"""


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = made
    spec.loader.exec_module(made)
    return made


def test_the_exceptions_are_well_formed_and_have_not_expired(audit: ModuleType) -> None:
    audit.exemptions(audit.EXCEPTIONS.read_text(encoding="utf-8"), date.today())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("2026-09-01", "2026-06-01", "was excepted until 2026-06-01"),
        ("2026-09-01", "2027-09-01", "half a year"),
        ("2026-09-01", '"soon"', "has id, package, reason and until"),
        ("until = 2026-09-01", "", "has id, package, reason and until"),
        ("Only in the merger of forms, which is never called.", "later", "has no reason"),
        ("CVE-2026-12345", "the one with the forms", "names no vulnerability"),
        ("pypdf", "", "names no vulnerability"),
    ],
)
def test_one_without_a_reason_or_an_end_is_refused(audit: ModuleType, old: str, new: str, says: str) -> None:
    assert [one.id for one in audit.exemptions(GOOD, TODAY)] == ["CVE-2026-12345"]
    with pytest.raises(ValueError, match=says):
        audit.exemptions(GOOD.replace(old, new), TODAY)


def test_what_is_excepted_passes_and_nothing_else(audit: ModuleType) -> None:
    excepted = audit.exemptions(GOOD, TODAY)
    hole = {"id": "PYSEC-2026-9", "aliases": ["CVE-2026-12345"], "fix_versions": ["7.2"]}
    other = {"id": "GHSA-aaaa-bbbb-cccc", "aliases": [], "fix_versions": []}

    def said(*vulns: object, name: str = "pypdf") -> list[str]:
        return list(audit.complaints({"dependencies": [{"name": name, "version": "7", "vulns": vulns}]}, excepted))

    assert said(hole) == []
    assert said(hole, other) == ["pypdf 7: GHSA-aaaa-bbbb-cccc (fixed in no version)"]
    assert said(hole, name="pillow")[0] == "pillow 7: PYSEC-2026-9 (fixed in 7.2)"
    assert said() == ["the exception for CVE-2026-12345 (pypdf) is of no use any more"]


def test_what_could_not_be_looked_up_is_not_fine(audit: ModuleType) -> None:
    """pip-audit itself says "No known vulnerabilities found" of packages that its database does not know."""
    unknown = {"dependencies": [{"name": "pypdf", "skip_reason": "not found on PyPI"}]}
    assert list(audit.complaints(unknown, [])) == ["1 of 1 packages could not be looked up: pypdf…"]
    assert list(audit.complaints({"dependencies": []}, [])) == ["nothing was looked up"]
