"""Numbers in answers: "$1,577 million" is "1577.00" to a question that asks for millions, and 8.7 billion is 8,738
million to the precision that it is given in. Pure.

FinanceBench (arXiv 2311.11944) was judged so by people: right when the figure is, whatever its format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

SCALES = {"thousand": 1e3, "k": 1e3, "million": 1e6, "mn": 1e6, "mio": 1e6, "m": 1e6}
SCALES |= {"billion": 1e9, "bn": 1e9, "b": 1e9, "trillion": 1e12, "tn": 1e12}
UNSAID = (1.0, 1e3, 1e6, 1e9)  # a table says its scale far away from its figures
COARSER = 0.02  # an answer may be coarser than the gold answer, but no further away than this

_CURRENCY = r"US\$|[$€£¥]|\b(?:USD|EUR|GBP|JPY)\b"
_SCALE = r"(?:thousand|million|billion|trillion)s?|mio|mn|bn|tn"
_NUMBER = re.compile(
    rf"(?P<open>\()?(?P<sign>(?<!\w)[-−–]\s?)?(?:(?P<currency>{_CURRENCY})\s?(?P<inner>[-−–(])?)?"
    r"(?<![\w.,])(?P<digits>(?>\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?!\d|[.,]\d)"
    r"(?P<close>\))?"
    rf"(?:\s?(?P<percent>%|per\s?cent\b)|(?:\s?\(?in)?[\s-]?(?:US\s|USD\s|\$\s?)?(?P<scale>{_SCALE})\b|(?P<letter>[kmb])\b"
    r"|x\b|(?!\w|[-–/][A-Za-z]))",
    re.IGNORECASE,
)
_ASKED_SCALE = re.compile(rf"\bin\b(?:\s(?:units\sof|US|USD|dollars?|euros?))*\s?\$?\s?(?P<scale>{_SCALE})\b", re.I)
_PERCENT = re.compile(r"%|per\s?cent", re.IGNORECASE)
_FALLING = re.compile(r"decreas|declin|drop|fell|fall|los[st]|negative|down|lower|reduc|less|outflow", re.IGNORECASE)
_SYMBOLS = {"US$": "$", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """`step` is one unit of the last digit written (zeros behind the point say nothing); `scale` is None where no
    word says it."""

    value: float
    step: float
    scale: float | None = None
    currency: str = ""
    percent: bool = False
    negative: bool = False

    @property
    def is_year(self) -> bool:
        bare = not (self.scale or self.currency or self.percent)
        return bare and self.step == 1 and 1900 <= self.value <= 2100


def numeric_match(answer: str, golds: Sequence[str], question: str = "") -> float | None:
    """1 when every number of a gold answer stands in the answer, 0 when not, None when no gold answer has a number.

    Years count only where a gold answer has no other number. A number without a scale has the one that the
    question asks for ("in USD millions"); beside money or a scaled number it may have any. The answer's number has
    to round to the gold one, or the gold one to it, then within 2 %. Opposite signs agree where the other text
    speaks of a fall.
    """
    wanted = [(gold, found) for gold in golds if (found := _essential(gold))]
    if not wanted:
        return None
    given = list(quantities(answer))
    asked = _asked_scale(question)
    percent = bool(_PERCENT.search(question))

    def stands(gold: Quantity, text: str) -> bool:
        return any(
            _same_sign(gold, text, found, answer) and _agree(gold, found, asked, percent or found.percent)
            for found in given
        )

    return float(any(all(stands(number, gold) for number in numbers) for gold, numbers in wanted))


def quantities(text: str) -> Iterator[Quantity]:
    """The numbers of a text. Digits that are part of a name or code (FY2023, Q2, 10-K, 3rd) are none."""
    for match in _NUMBER.finditer(text):
        digits = match["digits"].replace(",", "")
        decimals = len(digits.partition(".")[2].rstrip("0"))
        scale = match["scale"] or match["letter"]
        currency = (match["currency"] or "").upper()
        yield Quantity(
            value=float(digits),
            step=10.0**-decimals,
            scale=_scale(scale) if scale else None,
            currency=_SYMBOLS.get(currency, currency),
            percent=bool(match["percent"]),
            negative=bool(match["sign"] or match["inner"] or (match["open"] and match["close"])),
        )


def _essential(gold: str) -> list[Quantity]:
    found = list(quantities(gold))
    return [number for number in found if not number.is_year] or found


def _asked_scale(question: str) -> float | None:
    match = _ASKED_SCALE.search(question)
    return _scale(match["scale"]) if match else None


def _scale(word: str) -> float:
    word = word.lower()
    return SCALES.get(word) or SCALES[word.removesuffix("s")]


def _same_sign(gold: Quantity, gold_text: str, found: Quantity, text: str) -> bool:
    if gold.negative == found.negative:
        return True
    return bool(_FALLING.search(text if gold.negative else gold_text))


def _agree(gold: Quantity, found: Quantity, asked: float | None, percent: bool) -> bool:
    if gold.currency and found.currency and gold.currency != found.currency:
        return False
    return any(
        _rounds(gold.value * ours, gold.step * ours, found.value * theirs, found.step * theirs)
        for ours, theirs in _readings(gold, found, asked, percent)
    )


def _readings(gold: Quantity, found: Quantity, asked: float | None, percent: bool) -> Iterator[tuple[float, float]]:
    """What the two numbers may have to be multiplied by before they are compared."""
    if gold.percent or found.percent:
        if gold.scale or found.scale or (gold.percent and found.currency) or (found.percent and gold.currency):
            return
        yield from product(_percent_readings(gold, percent), _percent_readings(found, True))
        return
    scale = gold.scale or asked
    if scale is None and found.scale is None:
        yield 1.0, 1.0
    elif scale is None:
        yield from product(UNSAID if gold.currency else (1.0,), (found.scale or 1.0,))
    else:
        yield from product((scale,), (found.scale,) if found.scale else UNSAID)


def _percent_readings(number: Quantity, percent: bool) -> tuple[float, ...]:
    """A number beside a percentage may itself be a percentage without its sign, or a ratio."""
    if number.percent:
        return (0.01,)
    return (1.0, 0.01) if percent else (1.0,)


def _rounds(gold: float, gold_step: float, found: float, step: float) -> bool:
    apart = abs(gold - found)
    hair = 1e-9 * max(abs(gold), abs(found))
    if apart <= gold_step / 2 + hair:
        return True
    return apart <= step / 2 + hair and apart <= COARSER * abs(gold)
