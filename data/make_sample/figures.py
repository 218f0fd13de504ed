"""The company's accounts, in thousands of pounds: a few inputs a year, everything else derived so that it ties."""

from __future__ import annotations

from dataclasses import dataclass

Segments = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What the company owned and owed on 31 December."""

    goodwill: int
    intangibles: int
    equipment: int  # property, plant and equipment with right-of-use assets
    inventories: int
    receivables: int
    cash: int
    payables: int
    loans_current: int
    tax: int
    provisions: int
    loans: int
    leases: int
    deferred_tax: int
    share_capital: int = 6_000
    share_premium: int = 8_150
    translation: int
    retained: int

    @property
    def fixed(self) -> int:
        return self.goodwill + self.intangibles + self.equipment

    @property
    def current(self) -> int:
        return self.inventories + self.receivables + self.cash

    @property
    def assets(self) -> int:
        return self.fixed + self.current

    @property
    def due_soon(self) -> int:
        return self.payables + self.loans_current + self.tax + self.provisions

    @property
    def due_later(self) -> int:
        return self.loans + self.leases + self.deferred_tax

    @property
    def equity(self) -> int:
        return self.share_capital + self.share_premium + self.translation + self.retained

    @property
    def net_debt(self) -> int:
        return self.loans + self.loans_current - self.cash


@dataclass(frozen=True, kw_only=True)
class Year:
    """One financial year: what happened in it, and the balance that it began with. Costs are positive here."""

    year: int
    opening: Balance
    segment_revenue: Segments  # Flow Measurement, Water Quality, Software and Services
    segment_profit: Segments
    regions: tuple[int, int, int, int]  # United Kingdom, Rest of Europe, North America, Asia-Pacific
    cost_of_sales: int
    selling: int
    development: int
    administration: int
    central: int
    exceptional: int
    interest_received: int
    interest_paid: int
    tax_charge: int
    tax_deferred: int
    tax_paid: int
    depreciation: int
    amortisation: int
    equipment_bought: int
    development_capitalised: int
    leased: int
    lease_payments: int
    borrowed: int
    repaid: int = 2_000
    dividends: int
    exchange_equipment: int
    exchange_cash: int
    stock: tuple[int, int, int]  # raw materials, work in progress, finished goods at the end
    receivables: int
    payables: int
    provisions: int
    acquired: tuple[int, int, int, int] = (0, 0, 0, 0)  # goodwill, intangibles, receivables, payables

    @property
    def revenue(self) -> int:
        return sum(self.segment_revenue)

    @property
    def gross_profit(self) -> int:
        return self.revenue - self.cost_of_sales

    @property
    def adjusted_profit(self) -> int:
        return self.gross_profit - self.selling - self.development - self.administration

    @property
    def operating_profit(self) -> int:
        return self.adjusted_profit - self.exceptional

    @property
    def profit_before_tax(self) -> int:
        return self.operating_profit + self.interest_received - self.interest_paid

    @property
    def profit(self) -> int:
        return self.profit_before_tax - self.tax_charge

    @property
    def pence_per_share(self) -> float:
        return self.profit / 24_000 * 100

    @property
    def paid_for_acquisition(self) -> int:
        goodwill, intangibles, receivables, payables = self.acquired
        return goodwill + intangibles + receivables - payables

    @property
    def equipment_added(self) -> int:
        return self.equipment_bought + self.leased

    @property
    def working_capital(self) -> dict[str, int]:
        """The cash that came from (or, negative, went into) working capital, acquisitions left out."""
        return {
            "inventories": self.opening.inventories - sum(self.stock),
            "receivables": self.opening.receivables + self.acquired[2] - self.receivables,
            "payables": self.payables - self.opening.payables - self.acquired[3],
            "provisions": self.provisions - self.opening.provisions,
        }

    @property
    def operating_cash(self) -> int:
        earned = self.operating_profit + self.depreciation + self.amortisation + sum(self.working_capital.values())
        return earned - self.tax_paid + self.interest_received - self.interest_paid

    @property
    def invested_cash(self) -> int:
        return -(self.equipment_bought + self.development_capitalised + self.paid_for_acquisition)

    @property
    def financing_cash(self) -> int:
        return self.borrowed - self.repaid - self.lease_payments - self.dividends

    @property
    def closing(self) -> Balance:
        was = self.opening
        flows = self.operating_cash + self.invested_cash + self.financing_cash
        closing = Balance(
            goodwill=was.goodwill + self.acquired[0],
            intangibles=was.intangibles + self.acquired[1] + self.development_capitalised - self.amortisation,
            equipment=was.equipment + self.equipment_added - self.depreciation + self.exchange_equipment,
            inventories=sum(self.stock),
            receivables=self.receivables,
            cash=was.cash + flows + self.exchange_cash,
            payables=self.payables,
            loans_current=2_000,
            tax=was.tax + self.tax_charge - self.tax_deferred - self.tax_paid,
            provisions=self.provisions,
            loans=was.loans + was.loans_current + self.borrowed - self.repaid - 2_000,
            leases=was.leases + self.leased - self.lease_payments,
            deferred_tax=was.deferred_tax + self.tax_deferred,
            translation=was.translation + self.exchange_equipment + self.exchange_cash,
            retained=was.retained + self.profit - self.dividends,
        )
        if closing.assets != closing.due_soon + closing.due_later + closing.equity:
            raise ValueError(f"the balance sheet of {self.year} does not balance")
        if sum(self.segment_profit) - self.central != self.adjusted_profit or sum(self.regions) != self.revenue:
            raise ValueError(f"the segments or regions of {self.year} do not add up")
        return closing


START = Balance(
    goodwill=6_420, intangibles=7_310, equipment=22_480, inventories=13_260, receivables=15_870, cash=5_940,
    payables=13_420, loans_current=2_000, tax=720, provisions=940, loans=12_000, leases=3_350, deferred_tax=1_480,
    translation=310, retained=22_910,
)  # fmt: skip

Y2023 = Year(
    year=2023, opening=START,
    segment_revenue=(38_210, 26_475, 14_105), segment_profit=(4_985, 3_340, 2_610),
    regions=(33_480, 25_290, 11_610, 8_410),
    cost_of_sales=43_650, selling=10_980, development=6_940, administration=8_865, central=2_580, exceptional=0,
    interest_received=85, interest_paid=742, tax_charge=1_694, tax_deferred=90, tax_paid=1_560,
    depreciation=2_890, amortisation=1_420, equipment_bought=3_450, development_capitalised=1_980,
    leased=400, lease_payments=620, borrowed=0, dividends=2_064, exchange_equipment=40, exchange_cash=-15,
    stock=(6_120, 3_015, 4_770), receivables=16_730, payables=14_110, provisions=985,
)  # fmt: skip

Y2024 = Year(
    year=2024, opening=Y2023.closing,
    segment_revenue=(39_840, 28_930, 16_520), segment_profit=(5_110, 3_905, 3_380),
    regions=(34_960, 27_845, 12_970, 9_515),
    cost_of_sales=46_740, selling=11_760, development=7_615, administration=9_420, central=2_640, exceptional=640,
    interest_received=120, interest_paid=905, tax_charge=1_958, tax_deferred=110, tax_paid=1_720,
    depreciation=3_060, amortisation=1_610, equipment_bought=4_815, development_capitalised=2_240,
    leased=540, lease_payments=660, borrowed=3_000, dividends=2_208, exchange_equipment=-55, exchange_cash=-20,
    stock=(6_580, 3_140, 5_100), receivables=17_640, payables=15_020, provisions=1_060,
)  # fmt: skip

Y2025 = Year(
    year=2025, opening=Y2024.closing,
    segment_revenue=(41_365, 33_720, 19_905), segment_profit=(5_290, 5_060, 4_465),
    regions=(37_415, 32_180, 14_420, 10_975),
    cost_of_sales=51_010, selling=12_905, development=8_870, administration=10_180, central=2_790, exceptional=415,
    interest_received=140, interest_paid=880, tax_charge=2_500, tax_deferred=85, tax_paid=2_115,
    depreciation=3_310, amortisation=1_845, equipment_bought=5_940, development_capitalised=2_685,
    leased=310, lease_payments=690, borrowed=3_000, dividends=2_424, exchange_equipment=130, exchange_cash=25,
    stock=(6_745, 3_425, 5_310), receivables=19_310, payables=16_650, provisions=1_235,
    acquired=(2_950, 1_100, 240, 90),
)  # fmt: skip

YEARS = {year.year: year for year in (Y2023, Y2024, Y2025)}
SITES = ("Kendal", "Ústí nad Labem", "Delft", "Preston (until 2024 Leeds)", "Halifax, Nova Scotia", "Singapore")
EMPLOYEES_BY_SITE = {
    2023: (322, 131, 22, 31, 24, 19),
    2024: (327, 139, 24, 33, 26, 22),
    2025: (331, 148, 46, 34, 28, 25),
}
TEAMS = ("Production", "Research and development", "Sales and marketing", "Service and calibration", "Administration")
EMPLOYEES_BY_TEAM = {2023: (250, 80, 95, 73, 51), 2024: (257, 86, 98, 77, 53), 2025: (268, 97, 104, 86, 57)}


def money(amount: int, *, cost: bool = False) -> str:
    """The amount as accounts print it: costs and negative figures in brackets, nought as a dash."""
    amount = -amount if cost else amount
    return "\u2013" if amount == 0 else f"({-amount:,})" if amount < 0 else f"{amount:,}"


def change(now: float, before: float) -> str:
    return f"{(now / before - 1) * 100:.1f}"
