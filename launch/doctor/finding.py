"""What a probe has found: a mark, a subject, a fact, and what to do."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Mark = Literal["ok", "warn", "FAIL", "left out"]

MOST = 300  # Characters of what another program said.


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    mark: Mark
    subject: str
    fact: str
    todo: str = ""

    def __str__(self) -> str:
        todo = f" -> {self.todo}" if self.todo else ""
        return f"{self.mark:<8}  {self.subject:<12}  {self.fact}{todo}"


Probe = Callable[[], Iterable[Finding]]


def guarded(subject: str, probe: Probe) -> Iterator[Finding]:
    """Yields what a probe finds; whatever goes wrong in it is a finding too."""
    try:
        yield from probe()
    except Exception as error:
        fact = f"could not be found out: {brief(str(error)) or type(error).__name__}"
        yield Finding("warn", subject, fact, "look at this by hand; the other lines stand")


def brief(text: str) -> str:
    """Returns in one line what another program said."""
    line = " ".join(text.split())
    return line if len(line) <= MOST else f"{line[:MOST]} ..."
