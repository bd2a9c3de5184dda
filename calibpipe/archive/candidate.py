"""What is to be certified, and whether it may be."""

from dataclasses import dataclass

from ..core.exceptions import ConfigurationError, MissingInputError
from ..core.product_header import ProductHeader
from .errors import NotVerifiedError
from .formatter import ProductFormatter
from .kinds import kind_of
from .validity import Interval

__all__ = ["Candidate", "check_candidate", "check_words", "override_reason"]

PASS, FAIL, NOT_VERIFIED = "PASS", "FAIL", "NONE"
MAX_REASON = 2000


@dataclass(frozen=True)
class Candidate:
    """A product that is to be certified.

    Parameters
    ----------
    header : ProductHeader
        Of the product.
    validity : Interval
        ``[begin, end)``; None: as the product proposes.
    verdict : str
        ``PASS``, ``FAIL``, or ``NONE`` if it was not verified.
    verification : str
        Identifier of the verification record.
    override : str
        Why it is certified although its verdict is not ``PASS``.
    season : str
        Of products that are kept for each season.
    layer : int
        Layer in which it was certified elsewhere; 0: wherever it belongs.
    run : str
        RUN that it belonged to elsewhere; empty: named after its night and content.
    """

    header: ProductHeader
    validity: Interval | None = None
    verdict: str = NOT_VERIFIED
    verification: str = ""
    override: str = ""
    season: str = ""
    layer: int = 0
    run: str = ""

    @property
    def interval(self) -> Interval:
        """Validity that is certified."""
        if self.validity is not None:
            return self.validity
        if self.header.validity is None:
            raise ConfigurationError(
                f"{self.header.path} proposes no validity: give its begin and end"
            )
        return Interval.of(*self.header.validity)

    @property
    def category(self) -> str:
        """Category of the archive."""
        kept = kind_of(self.header.kind).dimensions
        named = "season" in kept or self.header.category not in ("B", "C")
        return "reference" if named else str(self.header.category)


def override_reason(author: str, made_on: str, reason: str) -> str:
    """What an override says in the record."""
    return f"{reason} (decided by {author} on {made_on})"


def check_words(author: str, reason: str) -> None:
    """Refuse an author or reason that is missing, too long or not one printable line.

    Raises
    ------
    ConfigurationError
        Which one, and why.
    """
    for name, text in (("author", author), ("reason", reason)):
        if not text.strip():
            raise ConfigurationError(f"a certification needs its {name}: part of the record")
        if len(text) > MAX_REASON or not text.isprintable():
            raise ConfigurationError(
                f"the {name} is a line of printable characters, at most {MAX_REASON}; it has "
                f"{len(text)}: shorten it, write no line breaks"
            )


def check_candidate(candidate: Candidate) -> None:
    """Refuse what must not be certified.

    Raises
    ------
    ConfigurationError
        If its kind has no validity, or the archive does not keep files of its format.
    MissingInputError
        If it is not complete.
    NotVerifiedError
        If it has no verdict ``PASS`` and no override.
    """
    header = candidate.header
    if not kind_of(header.kind).validity:
        raise ConfigurationError(f"{header.path}: {header.kind} has no validity: it is kept only")
    if header.path.suffix not in ProductFormatter.supported_extensions:
        known = ", ".join(sorted(ProductFormatter.supported_extensions))
        raise ConfigurationError(f"{header.path}: the archive keeps files that end in {known}")
    if header.status != "COMPLETE":
        raise MissingInputError(f"{header.path} is not complete: {header.status}")
    if candidate.verdict != PASS and not candidate.override:
        why = {
            FAIL: "failed its verification",
            NOT_VERIFIED: "has no verification",
        }.get(candidate.verdict, f"has the verdict {candidate.verdict!r}")
        raise NotVerifiedError(
            f"{header.path} {why}: nothing is certified; mend it, or certify it with an override "
            "that states a reason, author and date"
        )
