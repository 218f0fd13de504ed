"""Makes the PDFs and Office files of data/sample: `python data/make_sample [FOLDER]`.

Every run gives the same bytes with the same versions of reportlab, Pillow, python-docx, python-pptx and openpyxl.
The plain files of the sample (Markdown, text, CSV, HTML, e-mail) are written by hand and stand there already.
"""

from __future__ import annotations

import sys
from pathlib import Path

import annual_report
import contract
import handbook
import office
import price_list

SAMPLE = Path(__file__).parents[1] / "sample"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for document in (handbook, price_list, contract, annual_report, office):
        document.build(folder)
    print(f"made the documents in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE)
