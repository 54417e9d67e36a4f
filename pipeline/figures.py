"""Numbers and text as people read them: counts, seconds, bytes, cells. Knows no markup."""

import math

from pipeline.sections import Cell, Table

_SUFFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def short(value: float) -> str:
    """Three significant digits with an SI suffix: 1234567 -> "1.23M", 0.0003 -> "3e-4"."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 1e18:
        return _exponent(value)
    for scale, suffix in _SUFFIXES:
        if size >= scale * 0.9995:
            return _digits(value / scale) + suffix
    if 0 < size < 1e-3:
        return _exponent(value)
    return _digits(value)


def cell(value: Cell) -> str:
    """A table's cell: whole numbers with separators, fractions to four significant digits, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 1e15 else short(value)
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e15 or size < 1e-3:
        return _exponent(value)
    if size >= 1000:
        return f"{value:,.0f}"
    places = max(0, 3 - math.floor(math.log10(size)))
    return f"{value:.{places}f}"


def seconds(value: float | None) -> str:
    """12.3 -> "12 s", 95 -> "1 min 35 s", 7300 -> "2 h 02 min", 1e7 -> "116 days"."""
    if value is None:
        return "–"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if value >= 3.6e6:  # a thousand hours
        return f"{value / 86_400:,.0f} days"
    minutes = round(value / 60)
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def size(value: float | None) -> str:
    """Bytes in binary units: 6442450944 -> "6.00 GiB"."""
    if value is None:
        return "–"
    for scale, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= scale:
            return f"{_digits(value / scale)} {unit}"
    return f"{value:.0f} B"


def flops(value: float | None) -> str:
    """2.4e13 -> "24 TFLOP"."""
    if value is None:
        return "–"
    for scale, prefix in ((1e18, "E"), *_SUFFIXES):
        if value >= scale:
            return f"{value / scale:.3g} {prefix}FLOP" if value < 1e21 else f"{_exponent(value)} FLOP"
    return f"{value:.3g} FLOP"


def ratio(predicted: float | None, measured: float | None) -> str:
    """Measured over predicted, as "1.08"; a dash where either is missing or zero."""
    if not predicted or measured is None:
        return "–"
    return f"{measured / predicted:.2f}"


def numeric(table: Table) -> list[bool]:
    """For each column, whether its cells are numbers: those stand at the right."""
    columns = range(len(table.columns))
    return [bool(table.rows) and all(_number(row[i]) for row in table.rows) for i in columns]


def clean(text: str) -> str:
    """Text from the corpus without the control characters that HTML forbids and a terminal would obey."""
    return "".join(
        c if c in "\n\t" or (ord(c) >= 32 and not 127 <= ord(c) < 160) else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def _number(value: Cell) -> bool:
    if isinstance(value, str):
        words = value.lstrip("+-±−<>≤≥≈~ ")
        return not value or value in "–-" or (words[:1].isdigit() and len(value) <= 18)
    return True


def _digits(value: float) -> str:
    text = f"{value:.3g}"
    return f"{value:.0f}" if "e" in text else text


def _exponent(value: float) -> str:
    mantissa, exponent = f"{value:.2e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"
