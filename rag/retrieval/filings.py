"""Which part of a company's filing a question asks for: a statement, or an item of the annual report.

Filings are built alike by law. What is asked of them ("the quick ratio") is often not a word of the place that holds
it, which is called "Consolidated Balance Sheets" and says "Total current assets". This table is what an accountant
knows: the statement that a line item stands in, the line items that a ratio is made of, and the items of Form 10-K
(17 CFR 229 and 249.310). English, as the filings are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.retrieval.rerank import prose
from rag.types import Passage

HEAD_LINES = 3  # of a passage: a title stands there, or in the heading above it
TITLE_LENGTH = 80  # characters; what is longer is a sentence that mentions a statement
CONTENTS = 4  # items that a passage names from which on it is a table of contents


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a filing: its `title`, and what a title of it looks like. A statement is a table of `figures`."""

    title: str
    pattern: re.Pattern[str]
    figures: bool

    def holds(self, passage: Passage) -> bool:
        """Whether a passage stands under the title of this section."""
        if self.figures:
            lines = passage.text.split("\n", HEAD_LINES)[:HEAD_LINES]
            head = [passage.heading, *(line for line in lines if len(line) < TITLE_LENGTH)]
            return self.pattern.search(" ".join(head)) is not None and prose(passage.text) == 0
        head = [passage.heading, *(line for line in passage.text.split("\n") if len(line) < TITLE_LENGTH)]
        named = any(self.pattern.search(line) for line in head)
        return named and len(_ITEM.findall(passage.text)) < CONTENTS


def _statement(title: str, pattern: str) -> Section:
    return Section(title, re.compile(pattern, re.IGNORECASE), figures=True)


def _item(number: str, title: str) -> Section:
    return Section(f"Item {number}. {title}", re.compile(rf"\bitem\s+{number}\W+{title}", re.IGNORECASE), figures=False)


INCOME = _statement(
    "Consolidated statements of income",
    r"income statements?|statements? of (?:consolidated )?(?:income|operations|earnings|profit (?:and|or) loss)",
)
BALANCE = _statement(
    "Consolidated balance sheets",
    r"balance sheets?|statements? of (?:consolidated )?financial (?:position|condition)",
)
CASH = _statement(
    "Consolidated statements of cash flows",
    r"cash[- ]flows? statements?|statements? of (?:consolidated )?cash[- ]flows?",
)
BUSINESS, RISKS = _item("1", "Business"), _item("1A", "Risk Factors")
PROPERTIES, LEGAL = _item("2", "Properties"), _item("3", "Legal Proceedings")

_ITEM = re.compile(r"\bitem\s+\d", re.IGNORECASE)

# How it is asked for, and what the lines are called where it stands.
_LINES: dict[Section, tuple[tuple[str, str], ...]] = {
    INCOME: (
        (INCOME.pattern.pattern, ""),
        (r"p ?& ?l|profit (?:and|&) loss", ""),
        (r"revenues?|net sales|top[- ]line", "net sales, revenues"),
        (r"(?:assets?|receivables?) turnover|days sales outstanding|dso", "net sales, revenues"),
        (r"cogs|cost of (?:goods sold|sales|revenues?)", "cost of sales, cost of goods sold"),
        (r"inventory turnover|days (?:inventory|payables?) outstanding|dio|dpo", "cost of sales"),
        (r"gross (?:profit|margins?)", "net sales, cost of sales, gross profit"),
        (r"operating (?:income|profit|margins?)|ebit(?:da)?|interest coverage", "operating income, operating profit"),
        (r"net (?:income|earnings|profit|loss|(?:profit )?margins?)", "net income, net earnings"),
        (r"return on (?:assets|equity)|roa|roe|(?:payout|retention) ratio", "net income"),
        (r"earnings per share|eps", "earnings per share, basic, diluted"),
        (r"effective tax rate|income tax(?:es)?", "income before income taxes, provision for income taxes"),
        (r"interest (?:expense|coverage)", "interest expense"),
        (r"sg ?& ?a|selling,? general", "selling, general and administrative"),
        (r"r ?& ?d|research and development", "research and development"),
    ),
    BALANCE: (
        (BALANCE.pattern.pattern, ""),
        (r"current (?:assets|liabilities|ratio)|working capital", "total current assets, total current liabilities"),
        (r"quick ratio|acid[- ]test", "receivables, inventories, total current assets, total current liabilities"),
        (r"total assets|assets? turnover|return on assets|roa", "total assets"),
        (r"liabilit(?:y|ies)", "current liabilities, total liabilities"),
        (r"inventor(?:y|ies)|dio|cash conversion cycle", "inventories"),
        (r"payables?|dpo|cash conversion cycle", "accounts payable"),
        (r"receivables?|days sales outstanding|dso|cash conversion cycle", "accounts receivable"),
        (r"debt(?! securities)|leverage|borrowings", "short-term debt, long-term debt"),
        (r"(?:share|stock)holders['’]? equity|book value|return on equity|roe", "total shareholders' equity"),
        (r"property,? plant|pp ?& ?e|fixed assets?", "property, plant and equipment"),
        (r"goodwill|intangible assets?", "goodwill, intangible assets"),
        (r"cash (?:and|&) cash equivalents", "cash and cash equivalents"),
    ),
    CASH: (
        (CASH.pattern.pattern, ""),
        (r"cap(?:ital)?[- ]?ex(?:penditures?)?|capital spending", "purchases of property, plant and equipment"),
        (r"depreciation|amorti[sz]ation|d ?& ?a|ebitda", "depreciation and amortization"),
        (r"dividends?|(?:payout|retention) ratio", "financing activities, cash dividends paid"),
        (r"(?:share|stock) (?:repurchases?|buybacks?)", "financing activities, repurchases of common stock"),
        (r"cash flows?|(?:operating|investing|financing) activities", "net cash provided by operating activities"),
    ),
    BUSINESS: (
        (r"industry|industries|sectors?|operates? in|business model|products and services", ""),
        (r"geograph(?:y|ies|ic)|countries|regions|competitors?|competition|customers?|employees", ""),
    ),
    RISKS: ((r"risks?", ""),),
    PROPERTIES: ((r"properties|facilities|headquarter(?:s|ed)", ""),),
    LEGAL: ((r"legal|lawsuits?|litigation|sued", ""),),
}  # fmt: skip
_ASKED = {
    section: [(re.compile(rf"(?<!\w)(?:{asked})(?!\w)", re.IGNORECASE), lines) for asked, lines in table]
    for section, table in _LINES.items()
}


def asked_sections(question: str) -> dict[Section, str]:
    """The sections that a question asks for, each with how it may read there: its title, and under it the lines."""
    asked = {}
    for section, table in _ASKED.items():
        if found := [lines for pattern, lines in table if pattern.search(question)]:
            lines = dict.fromkeys(line for several in found for line in several.split(", ") if line)
            asked[section] = f"{section.title}\n{', '.join(lines)}".rstrip()
    return asked
