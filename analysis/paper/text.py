"""Numbers as figures and tables write them."""

import math


def bracket(low: float, high: float, digits: int) -> str:
    """Returns ' [0.12, 0.34]', and nothing where there is no interval."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f" [{low:.{digits}f}, {high:.{digits}f}]".replace("-", "−")


def signed(value: float, least: int = 2) -> str:
    """Writes a difference with three digits that mean something: +0.12, −1.34, +21.3.

    Args:
        value: What to write.
        least: Decimals below 10.
    """
    digits = least if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    text = f"{value:+,.{digits}f}".replace("-", "−")
    return text.replace("−", "+") if text.strip("+−0.") == "" else text
