"""What can go wrong, a row each. Tests that prove that it is withstood carry the row's number, `@pytest.mark.fault(5)`,
and `pytest --fault 5` runs them. `tests/test_faults.py` sees that no row is without; `make torture` takes the defences
away, one by one, and sees those tests fail (`tests/torture/mutants.py`).
"""

from __future__ import annotations

FAULTS = {
    1: "killed while it indexes",
    2: "killed while the index is saved",
    3: "the disk is full",
    4: "two writers at once, or a writer while somebody asks",
    5: "a file of the index is damaged, gone or another one's",
    6: "the ledger is damaged, no database, or of a newer program",
    7: "another embedding model, of another dimension or of the same",
    8: "a file is removed, renamed, changed or only touched",
    9: "the drive is not mounted: the folder is empty or gone",
    10: "a file or folder may not be read, vanishes meanwhile, or is none",
    11: "symbolic links in circles or out of the folder",
    12: "ten thousand tiny files",
    13: "thousands of pages, words without an end",
    14: "broken PDFs",
    15: "bombs: PDF, zip, XML, CSV, HTML",
    16: "PDFs with a password",
    17: "scans, and text layers that are no text",
    18: "names that are not UTF-8, or that a terminal would act on",
    19: "the same file twice, the same words in two",
    20: "no memory on the GPU",
    21: "a model missing, cut short, of another hash, pickled, or no network to fetch it",
    22: "Wikipedia does not answer, refuses, sends elsewhere or breaks off",
    23: "questions that are empty, endless, or look like syntax",
    24: "nothing to find, and vectors that are no numbers",
    25: "documents that give orders to the assistant",
    26: "markup in documents, titles, names and answers, on the page",
    27: "uploads named after other folders",
    28: "uploads that are not what they say",
    29: "the page closed, opened twice, or run again in the middle of an answer",
    30: "an evaluation killed, a bad row, a full disk under it",
    31: "settings that make no sense",
    32: "clocks that jump, a disk that may not be written, Ctrl-C, SIGTERM, an output that is closed",
    33: "another user of the machine looks at what was made",
    34: "questions and documents' text in logs",
    35: "something of it asks elsewhere, unasked",
    36: "code that runs what it reads",
    37: "cells that a spreadsheet runs",
}
PAGES_OWN = {26, 27, 28, 29}  # what the page's own tests prove, which are not marked yet
