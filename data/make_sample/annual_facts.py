"""Every figure and date that the annual reports' prose mentions, by the name that stands in the text files."""

from __future__ import annotations

from figures import EMPLOYEES_BY_SITE, YEARS, Year, change

SEGMENTS = ("Flow Measurement", "Water Quality", "Software and Services")
REGIONS = ("United Kingdom", "Rest of Europe", "North America", "Asia-Pacific")

INDICATORS: dict[str, dict[int, str]] = {
    "Orders in hand (£ million)": {2023: "21.4", 2024: "23.9", 2025: "28.6"},
    "Deliveries on the agreed day (%)": {2023: "91.8", 2024: "93.1", 2025: "94.6"},
    "Turnaround of repairs (working days)": {2023: "16", 2024: "11", 2025: "10"},
    "Sites that use Catchment": {2023: "1,840", 2024: "2,315", 2025: "3,060"},
    "Recommendation by customers (net promoter score)": {2023: "44", 2024: "47", 2025: "52"},
}
FINAL = {2023: 6.0, 2024: 6.4, 2025: 7.5}
INTERIM = {2023: 3.0, 2024: 3.2, 2025: 3.7}
CARBON = {2023: 2_140, 2024: 1_935, 2025: 1_702}
ACCIDENTS = {2023: "five", 2024: "four", 2025: "two"}
WOMEN = {2023: 27, 2024: 29, 2025: 31}
CUSTOMER = {2023: "7.6", 2024: "8.1", 2025: "8.9"}
OTHER: dict[int, dict[str, str]] = {
    2024: {
        "countries": "39", "apprentices": "17", "accident_rate": "4.2", "meetings": "eight", "audit_fee": "148",
        "approved": "24 March 2025", "agm": "22 May 2025", "record": "9 May 2025", "payment": "6 June 2025",
        "half_year": "11 September 2025", "finance_director": "Colin Hathersage", "maturity": "2029",
        "warranty_rate": "0.7",
    },
    2025: {
        "countries": "41", "apprentices": "21", "accident_rate": "2.0", "meetings": "nine", "audit_fee": "171",
        "approved": "23 March 2026", "agm": "21 May 2026", "record": "8 May 2026", "payment": "5 June 2026",
        "half_year": "10 September 2026", "finance_director": "Ingrid Solbakken", "maturity": "2030",
        "warranty_rate": "0.7",
    },
}  # fmt: skip


def facts(number: int) -> dict[str, str]:
    now, before = YEARS[number], YEARS[number - 1]
    return {**OTHER[number], **results(now, before), **segments(now, before), **position(now), **company(number)}


def millions(thousands: int) -> str:
    return f"{(thousands + 50) // 100 / 10:.1f}"  # halves go up, as readers expect


def share(part: float, whole: float) -> str:
    return f"{part / whole * 100:.1f}"


def results(now: Year, before: Year) -> dict[str, str]:
    named = {"revenue": (now.revenue, before.revenue), "adjusted": (now.adjusted_profit, before.adjusted_profit)}
    named |= {"operating": (now.operating_profit, before.operating_profit), "profit": (now.profit, before.profit)}
    named |= {"operating_cash": (now.operating_cash, before.operating_cash)}
    named |= {"net_debt": (now.closing.net_debt, before.closing.net_debt)}
    values = {"year": str(now.year), "prior": str(before.year)}
    for name, (current, earlier) in named.items():
        values |= {f"{name}_m": millions(current), f"{name}_prior_m": millions(earlier)}
        values[f"{name}_change"] = change(current, earlier)
    return values | {
        "gross_m": millions(now.gross_profit),
        "gross_margin": share(now.gross_profit, now.revenue),
        "gross_margin_prior": share(before.gross_profit, before.revenue),
        "adjusted_margin": share(now.adjusted_profit, now.revenue),
        "exceptional_k": str(now.exceptional),
        "net_finance_k": str(now.interest_paid - now.interest_received),
        "tax_m": millions(now.tax_charge),
        "tax_rate": share(now.tax_charge, now.profit_before_tax),
        "current_tax": f"{now.tax_charge - now.tax_deferred:,}",
        "deferred_tax": f"{now.tax_deferred:,}",
        "eps": f"{now.pence_per_share:.1f}",
        "eps_prior": f"{before.pence_per_share:.1f}",
    }


def segments(now: Year, before: Year) -> dict[str, str]:
    values: dict[str, str] = {}
    for index, name in enumerate(("flow", "quality", "software")):
        revenue, earlier, profit = now.segment_revenue[index], before.segment_revenue[index], now.segment_profit[index]
        values |= {
            f"{name}_m": millions(revenue),
            f"{name}_prior_m": millions(earlier),
            f"{name}_change": change(revenue, earlier),
            f"{name}_profit_m": millions(profit),
            f"{name}_margin": share(profit, revenue),
        }
    return values


def position(now: Year) -> dict[str, str]:
    earned = now.adjusted_profit + now.depreciation + now.amortisation
    research = now.development + now.development_capitalised
    return {
        "leverage": f"{now.closing.net_debt / earned:.1f}",
        "equipment_m": millions(now.equipment_bought),
        "capitalised_m": millions(now.development_capitalised),
        "expensed_m": millions(now.development),
        "rnd_m": millions(research),
        "rnd_share": share(research, now.revenue),
        "dividends_paid": f"{now.dividends:,}",
        "provisions": f"{now.closing.provisions:,}",
    }


def company(number: int) -> dict[str, str]:
    prior = number - 1
    dividend, earlier = FINAL[number] + INTERIM[number], FINAL[prior] + INTERIM[prior]
    orders = INDICATORS["Orders in hand (£ million)"]
    return {
        "employees": str(sum(EMPLOYEES_BY_SITE[number])),
        "employees_prior": str(sum(EMPLOYEES_BY_SITE[prior])),
        "final_dividend": f"{FINAL[number]:.1f}",
        "final_prior": f"{FINAL[prior]:.1f}",
        "interim_dividend": f"{INTERIM[number]:.1f}",
        "total_dividend": f"{dividend:.1f}",
        "total_dividend_prior": f"{earlier:.1f}",
        "dividend_change": change(dividend, earlier),
        "cover": f"{YEARS[number].pence_per_share / dividend:.1f}",
        "order_change": change(float(orders[number]), float(orders[prior])),
        "catchment_sites": INDICATORS["Sites that use Catchment"][number],
        "catchment_prior": INDICATORS["Sites that use Catchment"][prior],
        "accidents": ACCIDENTS[number],
        "accidents_prior": ACCIDENTS[prior],
        "women": str(WOMEN[number]),
        "women_prior": str(WOMEN[prior]),
        "carbon": f"{CARBON[number]:,}",
        "carbon_prior": f"{CARBON[prior]:,}",
        "carbon_change": f"{(1 - CARBON[number] / CARBON[prior]) * 100:.1f}",
        "largest_customer": CUSTOMER[number],
        "largest_customer_prior": CUSTOMER[prior],
    }
