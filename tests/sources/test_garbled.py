from __future__ import annotations

import random
import string

import pytest

from rag.sources.garbled import is_garbled

ENGLISH = (
    "The company recognizes the funded status of each defined benefit pension plan in the consolidated balance sheets. "
    "Each overfunded plan is recognized as an asset, and each underfunded plan as a liability of 4,711 euro. "
) * 3


def _shifted(text: str, by: int) -> str:
    return "".join(char if char.isspace() else chr(ord(char) - by) for char in text)


def _swapped(text: str, seed: int) -> str:
    letters = list(string.ascii_lowercase)
    random.Random(seed).shuffle(letters)
    return text.lower().translate(str.maketrans(string.ascii_lowercase, "".join(letters)))


@pytest.mark.fault(17)
@pytest.mark.parametrize(
    "text",
    [
        "".join(f"/g{ord(char)}" for char in ENGLISH),
        "".join(f"(cid:{ord(char)})" for char in ENGLISH),
        "".join(chr(0xE000 + ord(char)) for char in ENGLISH),
        "".join(chr(1 + ord(char) % 31) for char in ENGLISH),
        "".join("\ufffd" if char.isalpha() else char for char in ENGLISH),
        "".join(char if char.isspace() else chr(160 + ord(char) % 95) for char in ENGLISH),
        _shifted(ENGLISH, 29),
        _shifted(ENGLISH, 31),
        _shifted(ENGLISH, -1),
        "3HQČåQtSURVWĜHGN\\QD~þWHFK",
    ],
)
def test_text_layers_that_are_no_text_are_found(text: str) -> None:
    assert is_garbled(text)


def test_nearly_all_replacements_of_letter_by_letter_are_found() -> None:
    found = sum(is_garbled(_swapped(ENGLISH, seed)) for seed in range(200))
    assert found >= 180


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH,
        "",
        "A",
        "Potato 7",
        "XK-4711-B 1FTFW1E50NFA00001 DE89370400440532013000 GB29NWBK60161331926819 " * 5,
        "2023 48.3 4.0 212\n2022 44.7 (1.5) 201\n" * 20,
        "Footwear $ 33,135 $ 29,143 14 % 20 % $ 28,021 4 % 4 %\nApparel 13,843 13,567 2 % 8 % 12,865 5 % 6 %",
        "انواع الخطوط العربية " * 20,
        "هٰذَا نَصٌّ عَرَبِيٌّ مُشَكَّلٌ بِالكَامِلِ " * 10,
        "会社の売上高は前年度より増加しました。" * 10,
        "公司收入比上年增长百分之十。" * 10,
        "Номер полиса и дата выдачи " * 10,
        "यह एक हिन्दी वाक्य है जो पढ़ने योग्य है। " * 10,
        "Przedsiębiorstwo wykazało wzrost przychodów względem roku poprzedniego dzięki sprzedaży zagranicznej. " * 8,
        "Yhtiön liikevaihto kasvoi edellisvuodesta kansainvälisen myynnin ansiosta merkittävästi. " * 8,
        "Mae refeniw blynyddol cwmni wedi cynyddu oherwydd gwerthiant rhyngwladol cryf iawn eleni. " * 8,
        "Doanh thu công ty tăng trưởng mạnh nhờ xuất khẩu hàng hóa sang thị trường châu Âu năm ngoái. " * 8,
        "Mapato kampuni yaliongezeka kutokana mauzo makubwa nje nchi mwaka uliopita ukilinganisha. " * 8,
        "def scan(self) -> Iterator[Entry]:\n    for path in self._walk.files():\n        yield identify(path)\n" * 5,
        "➓ a159 [x2793]\r\n➔ a160 [x2794]\r\n→ a161 [x2192]\r\n↔ a163 [x2194]\r\n" * 10,
        "Revenue ........................ 12\nCosts ........................ 13\n" * 10,
    ],
)
def test_text_of_any_language_tables_codes_and_labels_pass(text: str) -> None:
    assert not is_garbled(text)
