"""What a row of results calls its protocol: a name that says all there is to say.

>>> str(RowName("few-label", disturbance="irrelevant=0.3"))
'few-label irrelevant=0.3'
>>> str(RowName("one-class", domain="medicine"))
'leave-domain-out (medicine) one-class'
>>> RowName.parse("novel-type unseen").part
'unseen'
"""

import re
from dataclasses import dataclass

from oddshot.evaluation.protocols import LEAVE_DOMAIN_OUT, NOVEL_TYPE

SEEN_TYPE, UNSEEN_TYPES = "seen", "unseen"
_NAME = re.compile(
    rf"(?:{LEAVE_DOMAIN_OUT} \((?P<domain>.+)\) )?(?P<protocol>\S+)"
    rf"(?: (?P<part>{SEEN_TYPE}|{UNSEEN_TYPES}))?(?: (?P<disturbance>\S+=\S+))?"
)


@dataclass(frozen=True, slots=True)
class RowName:
    """A protocol, and what is particular about it in a row.

    Parameters
    ----------
    protocol
        How trials are made.
    domain
        In leave-domain-out the field that the tables are of, and that the prior has not seen.
    part
        In novel-type whether the row is on the "seen" type or on the "unseen" ones.
    disturbance
        As `oddshot.evaluation.robustness.Disturbance` writes it.
    """

    protocol: str
    domain: str = ""
    part: str = ""
    disturbance: str = ""

    @classmethod
    def parse(cls, text: str) -> "RowName":
        """Read a name as it stands in a row."""
        found = _NAME.fullmatch(text)
        return cls(text) if found is None else cls(**found.groupdict(default=""))

    def __str__(self) -> str:
        before = f"{LEAVE_DOMAIN_OUT} ({self.domain}) " if self.domain else ""
        return before + " ".join(filter(None, (self.protocol, self.part, self.disturbance)))


def parts_of(protocol: str) -> tuple[str, ...]:
    """Name the parts of a trial that have rows of their own; "" is the whole."""
    return (SEEN_TYPE, UNSEEN_TYPES) if protocol == NOVEL_TYPE else ("",)
