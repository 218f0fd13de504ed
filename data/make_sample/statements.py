"""The tables of the annual reports: rows of a label, this year's figure and last year's, from figures.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from annual_facts import FINAL, INDICATORS, INTERIM, REGIONS, SEGMENTS
from figures import EMPLOYEES_BY_SITE, EMPLOYEES_BY_TEAM, SITES, TEAMS, YEARS, Balance, Year, change, money
from layout import LongTable, Style, table

Rows = list[tuple[str, ...]]
UNIT = "(£'000)"


def compare(style: Style, caption: str, heads: tuple[str, str], rows: Rows, strong: Sequence[str]) -> LongTable:
    """A table of two years' columns, in which the rows labelled as `strong` are totals."""
    body = [("", *heads), *rows]
    return table(style, caption, "100l 33r 33r", body, [n for n, row in enumerate(body) if row[0] in strong])


def income(style: Style, number: int) -> LongTable:
    lines: list[tuple[str, Callable[[Year], int], bool]] = [
        ("Revenue", lambda y: y.revenue, False),
        ("Cost of sales", lambda y: y.cost_of_sales, True),
        ("Gross profit", lambda y: y.gross_profit, False),
        ("Selling and distribution costs", lambda y: y.selling, True),
        ("Research and development", lambda y: y.development, True),
        ("Administrative expenses", lambda y: y.administration, True),
        ("Operating profit before exceptional items", lambda y: y.adjusted_profit, False),
        ("Exceptional items (note 3)", lambda y: y.exceptional, True),
        ("Operating profit", lambda y: y.operating_profit, False),
        ("Finance income", lambda y: y.interest_received, False),
        ("Finance costs", lambda y: y.interest_paid, True),
        ("Profit before tax", lambda y: y.profit_before_tax, False),
        ("Income tax (note 4)", lambda y: y.tax_charge, True),
        ("Profit for the year", lambda y: y.profit, False),
    ]
    rows = [(label, *(money(get(YEARS[y]), cost=cost) for y in (number, number - 1))) for label, get, cost in lines]
    rows.append(("Earnings per share (pence)", *(f"{YEARS[y].pence_per_share:.1f}" for y in (number, number - 1))))
    strong = {"Gross profit", "Operating profit", "Profit before tax", "Profit for the year"}
    caption = f"Consolidated income statement for the year ended 31 December {number} {UNIT}"
    return compare(style, caption, (str(number), str(number - 1)), rows, sorted(strong))


def comprehensive(style: Style, number: int) -> LongTable:
    years = [YEARS[number], YEARS[number - 1]]
    exchange = [y.exchange_equipment + y.exchange_cash for y in years]
    rows: Rows = [
        ("Profit for the year", *(money(y.profit) for y in years)),
        ("Exchange differences on foreign operations", *(money(amount) for amount in exchange)),
        ("Total comprehensive income", *(money(y.profit + e) for y, e in zip(years, exchange, strict=True))),
    ]
    caption = f"Statement of comprehensive income for the year ended 31 December {number} {UNIT}"
    return compare(style, caption, (str(number), str(number - 1)), rows, ["Total comprehensive income"])


def balance(style: Style, number: int) -> LongTable:
    lines: list[tuple[str, Callable[[Balance], int]]] = [
        ("Goodwill", lambda b: b.goodwill),
        ("Other intangible assets", lambda b: b.intangibles),
        ("Property, plant and equipment", lambda b: b.equipment),
        ("Non-current assets", lambda b: b.fixed),
        ("Inventories", lambda b: b.inventories),
        ("Trade and other receivables", lambda b: b.receivables),
        ("Cash and cash equivalents", lambda b: b.cash),
        ("Current assets", lambda b: b.current),
        ("Total assets", lambda b: b.assets),
        ("Trade and other payables", lambda b: b.payables),
        ("Borrowings due within one year", lambda b: b.loans_current),
        ("Current tax", lambda b: b.tax),
        ("Provisions", lambda b: b.provisions),
        ("Current liabilities", lambda b: b.due_soon),
        ("Borrowings due after one year", lambda b: b.loans),
        ("Lease liabilities", lambda b: b.leases),
        ("Deferred tax", lambda b: b.deferred_tax),
        ("Non-current liabilities", lambda b: b.due_later),
        ("Total liabilities", lambda b: b.due_soon + b.due_later),
        ("Share capital", lambda b: b.share_capital),
        ("Share premium", lambda b: b.share_premium),
        ("Translation reserve", lambda b: b.translation),
        ("Retained earnings", lambda b: b.retained),
        ("Total equity", lambda b: b.equity),
        ("Total equity and liabilities", lambda b: b.equity + b.due_soon + b.due_later),
    ]
    rows = [(label, *(money(get(YEARS[y].closing)) for y in (number, number - 1))) for label, get in lines]
    strong = [label for label, _ in lines if label.startswith(("Total", "Current a", "Current l", "Non-current"))]
    heads = (f"31 Dec {number}", f"31 Dec {number - 1}")
    return compare(style, f"Consolidated balance sheet {UNIT}", heads, rows, strong)


def cash(style: Style, number: int) -> LongTable:
    lines: list[tuple[str, Callable[[Year], int]]] = [
        ("Operating profit", lambda y: y.operating_profit),
        ("Depreciation", lambda y: y.depreciation),
        ("Amortisation", lambda y: y.amortisation),
        ("Change in inventories", lambda y: y.working_capital["inventories"]),
        ("Change in receivables", lambda y: y.working_capital["receivables"]),
        ("Change in payables", lambda y: y.working_capital["payables"]),
        ("Change in provisions", lambda y: y.working_capital["provisions"]),
        ("Tax paid", lambda y: -y.tax_paid),
        ("Interest received", lambda y: y.interest_received),
        ("Interest paid", lambda y: -y.interest_paid),
        ("Net cash from operating activities", lambda y: y.operating_cash),
        ("Purchase of property, plant and equipment", lambda y: -y.equipment_bought),
        ("Capitalised development", lambda y: -y.development_capitalised),
        ("Purchase of Waterlijn Analytics B.V.", lambda y: -y.paid_for_acquisition),
        ("Net cash used in investing activities", lambda y: y.invested_cash),
        ("New loans", lambda y: y.borrowed),
        ("Repayment of loans", lambda y: -y.repaid),
        ("Payment of lease liabilities", lambda y: -y.lease_payments),
        ("Dividends paid", lambda y: -y.dividends),
        ("Net cash used in financing activities", lambda y: y.financing_cash),
        ("Change in cash", lambda y: y.operating_cash + y.invested_cash + y.financing_cash),
        ("Effect of exchange rates", lambda y: y.exchange_cash),
        ("Cash on 1 January", lambda y: y.opening.cash),
        ("Cash on 31 December", lambda y: y.closing.cash),
    ]
    years = [YEARS[number], YEARS[number - 1]]
    kept = [line for line in lines if any(line[1](year) for year in years)]
    rows: Rows = [(label, *(money(get(year)) for year in years)) for label, get in kept]
    strong = [label for label, *_ in rows if label.startswith(("Net cash", "Cash on 31"))]
    caption = f"Consolidated cash flow statement for the year ended 31 December {number} {UNIT}"
    return compare(style, caption, (str(number), str(number - 1)), rows, strong)


def equity(style: Style, number: int) -> LongTable:
    year = YEARS[number]
    rows = [["", "Capital and premium", "Translation", "Retained", "Total"]]
    exchange = year.exchange_equipment + year.exchange_cash
    for label, at in ((f"On 1 January {number}", year.opening), (f"On 31 December {number}", year.closing)):
        amounts = (at.share_capital + at.share_premium, at.translation, at.retained, at.equity)
        rows.append([label, *(money(amount) for amount in amounts)])
    rows[2:2] = [
        ["Profit for the year", money(0), money(0), money(year.profit), money(year.profit)],
        ["Exchange differences", money(0), money(exchange), money(0), money(exchange)],
        ["Dividends", money(0), money(0), money(-year.dividends), money(-year.dividends)],
    ]
    return table(style, f"Statement of changes in equity, {number} {UNIT}", "54l 36r 24r 26r 26r", rows, [5])


def segment_table(style: Style, number: int) -> LongTable:
    now, before = YEARS[number], YEARS[number - 1]
    rows = [["", f"Revenue {number}", f"Revenue {number - 1}", f"Profit {number}", f"Profit {number - 1}"]]
    for index, name in enumerate(SEGMENTS):
        amounts = [now.segment_revenue, before.segment_revenue, now.segment_profit, before.segment_profit]
        rows.append([name, *(money(amount[index]) for amount in amounts)])
    rows.append(["Central costs", money(0), money(0), money(-now.central), money(-before.central)])
    adjusted = (now.revenue, before.revenue, now.adjusted_profit, before.adjusted_profit)
    rows.append(["Total before exceptional items", *(money(amount) for amount in adjusted)])
    return table(style, f"Segments: revenue and operating profit {UNIT}", "58l 27r 27r 27r 27r", rows, [5])


def region_table(style: Style, number: int) -> LongTable:
    now, before = YEARS[number], YEARS[number - 1]
    pairs = [*zip(REGIONS, now.regions, before.regions, strict=True), ("Total", now.revenue, before.revenue)]
    rows = [["", str(number), str(number - 1), "Change (%)"]]
    rows += [[name, money(this), money(last), change(this, last)] for name, this, last in pairs]
    return table(style, f"Revenue by the customer's region {UNIT}", "76l 30r 30r 30r", rows, [5])


def highlights(style: Style, number: int) -> LongTable:
    years = [YEARS[number], YEARS[number - 1]]
    rows: Rows = [
        ("Revenue", *(money(y.revenue) for y in years)),
        ("Operating profit before exceptional items", *(money(y.adjusted_profit) for y in years)),
        ("Profit for the year", *(money(y.profit) for y in years)),
        ("Net cash from operating activities", *(money(y.operating_cash) for y in years)),
        ("Net debt on 31 December", *(money(y.closing.net_debt) for y in years)),
        ("Earnings per share (pence)", *(f"{y.pence_per_share:.1f}" for y in years)),
        ("Dividend per share (pence)", *(f"{FINAL[y.year] + INTERIM[y.year]:.1f}" for y in years)),
        ("Employees on 31 December", *(str(sum(EMPLOYEES_BY_SITE[y.year])) for y in years)),
    ]
    return compare(style, "Key figures (£'000 unless stated)", (str(number), str(number - 1)), rows, [])


def indicators(style: Style, number: int) -> LongTable:
    rows: Rows = [(name, values[number], values[number - 1]) for name, values in INDICATORS.items()]
    return compare(style, "Indicators other than financial", (str(number), str(number - 1)), rows, [])


def headcount(style: Style, number: int, *, by_site: bool) -> LongTable:
    names, counts = (SITES, EMPLOYEES_BY_SITE) if by_site else (TEAMS, EMPLOYEES_BY_TEAM)
    rows: Rows = [(name, str(a), str(b)) for name, a, b in zip(names, counts[number], counts[number - 1], strict=True)]
    rows.append(("Total", str(sum(counts[number])), str(sum(counts[number - 1]))))
    caption = f"Employees by {'place' if by_site else 'team'} on 31 December"
    return compare(style, caption, (str(number), str(number - 1)), rows, ["Total"])


def asset_table(style: Style, number: int) -> LongTable:
    year, end = YEARS[number], YEARS[number].closing
    goodwill, intangibles, _, _ = year.acquired
    rows = [["", "Goodwill", "Other intangible", "Property, plant, equipment"]]
    for label, *amounts in [
        (f"On 1 January {number}", year.opening.goodwill, year.opening.intangibles, year.opening.equipment),
        ("Additions", 0, year.development_capitalised, year.equipment_bought + year.leased),
        ("Purchase of businesses", goodwill, intangibles, 0),
        ("Depreciation and amortisation", 0, -year.amortisation, -year.depreciation),
        ("Exchange differences", 0, 0, year.exchange_equipment),
        (f"On 31 December {number}", end.goodwill, end.intangibles, end.equipment),
    ]:
        rows.append([label, *(money(amount) for amount in amounts)])
    return table(style, f"Movements in {number} {UNIT}", "64l 28r 34r 40r", rows, [6])


def stock_table(style: Style, number: int) -> LongTable:
    stock = [YEARS[number].stock, YEARS[number - 1].stock]
    names = ("Raw materials and components", "Work in progress", "Finished goods")
    rows: Rows = [(name, money(stock[0][i]), money(stock[1][i])) for i, name in enumerate(names)]
    rows.append(("Inventories", money(sum(stock[0])), money(sum(stock[1]))))
    return compare(style, f"Inventories {UNIT}", (f"31 Dec {number}", f"31 Dec {number - 1}"), rows, ["Inventories"])
