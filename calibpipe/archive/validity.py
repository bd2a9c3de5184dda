"""Times of validity: ``[begin, end)`` in TAI, to the nanosecond."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from astropy.time import Time
from lsst.daf.butler import Timespan
from lsst.daf.butler.time_utils import TimeConverter

from ..core.exceptions import ConfigurationError
from .errors import MissingTimeError

__all__ = ["Interval", "instant", "merged", "moment", "open_interval"]


@dataclass(frozen=True, order=True)
class Interval:
    """Interval ``[begin, end)`` in nanoseconds of TAI since 1970; the ends of time are bounds.

    >>> Interval(0, 10).contains(Interval(9, 10)), Interval(0, 10).overlaps(Interval(10, 20))
    (True, False)
    """

    begin: int
    end: int

    @classmethod
    def of(cls, begin: Time | None, end: Time | None) -> "Interval":
        """Interval between two times; None is unbounded.

        Raises
        ------
        ConfigurationError
            If it ends before it begins, or at the same moment.
        """
        if begin is not None and end is not None and not end > begin:
            raise ConfigurationError(
                f"a validity from {begin.tai.isot} to {end.tai.isot} TAI holds at no time: the end "
                "has to come after the begin"
            )
        first = 0 if begin is None else _nanoseconds(begin)
        last = TimeConverter().max_nsec if end is None else _nanoseconds(end)
        if first < last:
            return cls(first, last)
        return cls(*Timespan(begin and begin.tai, end and end.tai).nsec)  # less than a nanosecond

    @classmethod
    def of_timespan(cls, timespan: Timespan) -> "Interval":
        """Interval of the Butler's own class."""
        return cls(*timespan.nsec)

    @property
    def timespan(self) -> Timespan:
        """For the Butler."""
        return Timespan(None, None, _nsec=(self.begin, self.end))

    def overlaps(self, other: "Interval") -> bool:
        """Whether there is a time that both hold; ``[0, 10)`` and ``[10, 20)`` do not."""
        return self.end > other.begin and other.end > self.begin

    def contains(self, other: "Interval") -> bool:
        """Whether all of `other` lies inside."""
        return self.begin <= other.begin and other.end <= self.end

    @property
    def times(self) -> tuple[Time | None, Time | None]:
        """Begin and end; None where it is unbounded."""
        timespan = self.timespan
        return timespan.begin, timespan.end

    def text(self) -> dict[str, str | None]:
        """Both ends in TAI and UTC."""
        return dict(_written(self))

    def __str__(self) -> str:
        begin, end = self.times
        if begin is not None and self.end - self.begin == 1:  # a moment
            return f"{_isot(begin, 'tai')} TAI"
        first = "-inf" if begin is None else _isot(begin, "tai")
        return f"[{first}, {'open' if end is None else _isot(end, 'tai')}) TAI"


def _nanoseconds(time: Time) -> int:
    tai = time.tai
    return _converted(tai.jd1, tai.jd2)


@lru_cache(maxsize=1024)
def _converted(jd1: float, jd2: float) -> int:
    """Butler's conversion, which takes long; the products of a night share their times."""
    return TimeConverter().astropy_to_nsec(Time(jd1, jd2, format="jd", scale="tai"))


@lru_cache(maxsize=1024)
def _written(interval: Interval) -> tuple[tuple[str, str | None], ...]:
    return tuple(
        (f"{name}_{scale}", None if time is None else _isot(time, scale))
        for name, time in zip(("begin", "end"), interval.times, strict=True)
        for scale in ("tai", "utc")
    )


def _isot(time: Time, scale: str) -> str:
    shown = getattr(time, scale).copy()
    shown.precision = 9
    text = shown.isot
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment(text: str, scale: str = "utc") -> Time:
    """Time of a text such as ``2024-07-10T22:00:00``, in TAI.

    Parameters
    ----------
    text : str
        ISO 8601; a ``Z`` at the end says UTC whatever `scale` is.
    scale : str
        ``utc`` or ``tai``.

    Raises
    ------
    MissingTimeError
        If the text is empty.
    ConfigurationError
        If it is no time.
    """
    if not text:
        raise MissingTimeError(
            "a calibration is valid at a time: give one, such as 2024-07-10T22:00:00"
        )
    if scale not in ("utc", "tai"):
        raise ConfigurationError(f"{scale!r} is no time scale of the archive: give utc or tai")
    plain = text.removesuffix("Z")
    try:
        return Time(plain, scale="utc" if plain != text else scale).tai
    except ValueError as error:
        shown = text if len(text) < 60 else f"{text[:60]}..."
        raise ConfigurationError(
            f"{shown!r} is no time: write it as 2024-07-10T22:00:00 ({scale.upper()})"
        ) from error


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Time that the intervals cover, in as few as it takes.

    >>> merged([Interval(10, 20), Interval(30, 40), Interval(0, 10)])
    [Interval(begin=0, end=20), Interval(begin=30, end=40)]
    """
    whole: list[Interval] = []
    for interval in sorted(intervals):
        if whole and interval.begin <= whole[-1].end:
            whole[-1] = Interval(whole[-1].begin, max(whole[-1].end, interval.end))
        else:
            whole.append(interval)
    return whole


def instant(time: Time) -> Interval:
    """The nanosecond that begins at `time`."""
    return Interval.of_timespan(Timespan.fromInstant(time.tai))


def open_interval(begin: Time) -> Interval:
    """From `begin` on."""
    return Interval.of(begin, None)
