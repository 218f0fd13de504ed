"""Reading a whole Wikipedia from a file: articles a second against the obvious loop, and peak memory by size.

    python tests/benchmarks/bench_archive.py [--data DIR] [--articles N] [--json FILE]

The archives are made of the practice set's articles, over and over under new titles, in the HTML and the wikitext that
Wikipedia has: a link every few words, a reference every sentence, sections, an infobox, a navigation box. The obvious
way opens a ZIM with libzim and takes each page's text with BeautifulSoup, one after the other; ours gives Documents
with their sections. Nothing is embedded on either side. Peak memory is the parent's and its largest child's, at N
articles and at a quarter of them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "sources"))

OBVIOUS = """
import sys
from pathlib import Path
from bs4 import BeautifulSoup
from libzim.reader import Archive

archive = Archive(Path(sys.argv[1]))
count = 0
for number in range(archive.all_entry_count):
    entry = archive._get_entry_by_id(number)
    if entry.is_redirect or not entry.get_item().mimetype.startswith("text/html"):
        continue
    soup = BeautifulSoup(bytes(entry.get_item().content).decode(), "html.parser")
    for tag in soup(["script", "style", "table"]):
        tag.decompose()
    text = soup.get_text()
    count += 1
print(count)
"""
OURS = """
import re, resource, sys
from itertools import islice
from pathlib import Path
from rag.index.stream import SLICE
from rag.sources.wiki.archive import Archive

if __name__ == "__main__":
    archive = Archive(Path(sys.argv[1]))
    entries = archive.scan()
    count = 0
    while part := list(islice(entries, SLICE)):
        count += sum(reading.document is not None for reading in archive.read(part))
    archive.close()
    own = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]  # since this program began
    print(int(own) // 1024, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
    print(count)
"""


def articles(data: Path) -> list[tuple[str, list[str]]]:
    found = sorted((data / "squad" / "articles").glob("*.md"))
    return [(path.stem, path.read_text(encoding="utf-8").split("\n\n")[1:]) for path in found]


def linked(text: str, link: str, reference: str) -> str:
    text = re.sub(r"\b([A-Z][a-z]+(?: [A-Z][a-z]+)*)\b", link, text)
    return re.sub(r"\. ", f".{reference} ", text)


def html(paragraphs: list[str]) -> str:
    link = r'<a rel="mw:WikiLink" href="./\1" title="\1" class="mw-redirect">\1</a>'
    reference = '<sup class="mw-ref reference" id="cite_ref-1"><a href="#cite_note-1"><span>[1]</span></a></sup>'
    note = (
        '<li id="cite_note-1"><span class="mw-cite-backlink"><a href="#r">^</a></span><cite><a>A book</a></cite></li>'
    )
    body = []
    for number, paragraph in enumerate(paragraphs):
        if number % 6 == 5:
            body.append(f'<h2 id="Part_{number}">Part {number}</h2>')
        body.append(f"<p>{linked(paragraph, link, reference)}</p>")
    box = '<table class="infobox"><tr><th colspan="2">Name</th></tr><tr><th>Born</th><td>1912</td></tr></table>'
    navigation = f'<div class="navbox"><ul>{"<li><a>Other</a></li>" * 60}</ul></div>'
    references = f'<h2>References</h2><div class="reflist"><ol class="references">{note * 60}</ol></div>'
    inner = box + "".join(body) + references + navigation
    return f'<html><head><title>x</title></head><body><div class="mw-parser-output">{inner}</div></body></html>'


def wikitext(paragraphs: list[str]) -> str:
    body = []
    for number, paragraph in enumerate(paragraphs):
        if number % 6 == 5:
            body.append(f"== Part {number} ==")
        body.append(linked(paragraph, r"[[\1]]", "<ref>{{cite book|title=A book|year=1990}}</ref>"))
    return "{{Infobox person|name=Name|born=1912}}\n" + "\n\n".join(body) + "\n== References ==\n{{reflist}}"


def make(data: Path, folder: Path, count: int) -> tuple[Path, Path]:
    from archives import page_xml, write_dump, write_zim

    ours = articles(data)
    pages = [(title, html(paragraphs), wikitext(paragraphs)) for title, paragraphs in ours]

    def repeated() -> Iterator[tuple[int, str, str, str]]:
        for number in range(count):
            title, page, source = pages[number % len(pages)]
            yield number, f"{title} {number // len(pages)}", page, source

    zim, dump = folder / f"{count}.zim", folder / f"{count}.xml.bz2"
    write_zim(zim, ((title, page) for _, title, page, _ in repeated()))
    write_dump(dump, [page_xml(n + 1, title, source, n + 1) for n, title, _, source in repeated()], a_stream=50)
    return zim, dump


def timed(program: str, archive: Path) -> tuple[float, list[str]]:
    began = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(archive)], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return time.perf_counter() - began, done.stdout.split()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    beside = ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAG_PRACTICE_DATA", beside)))
    parser.add_argument("--articles", type=int, default=2000)
    parser.add_argument("--json", type=Path, default=ROOT / "tests/benchmarks/results/archive.json")
    options = parser.parse_args()
    if not (options.data / "squad").is_dir():
        print(f"skipped: no practice data at {options.data}; set RAG_PRACTICE_DATA")
        return 0
    rows: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as temporary:
        few, many = options.articles // 4, options.articles
        made = {count: make(options.data, Path(temporary), count) for count in (few, many)}
        seconds, (count,) = timed(OBVIOUS, made[few][0])
        rows["BeautifulSoup, ZIM"] = {"articles": int(count), "per_second": round(int(count) / seconds, 1)}
        for size in (few, many):
            for path, kind in zip(made[size], ("ZIM", "dump"), strict=True):
                seconds, (own, child, count) = timed(OURS, path)
                rows[f"rag, {kind}, {size}"] = {
                    "articles": int(count),
                    "per_second": round(int(count) / seconds, 1),
                    "peak_mib": int(own),
                    "child_mib": int(child),
                }
    obvious = rows["BeautifulSoup, ZIM"]["per_second"]
    print(
        f"{os.cpu_count()} cores\n{'':24} {'articles':>9} {'a second':>9} {'times':>6} {'peak MiB':>9} {'a child':>8}"
    )
    for name, row in rows.items():
        row["times"] = round(row["per_second"] / obvious, 2)
        memory = f"{row.get('peak_mib', ''):>9} {row.get('child_mib', ''):>8}"
        print(f"{name:24} {row['articles']:9} {row['per_second']:9.1f} {row['times']:6.1f} {memory}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(rows, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
