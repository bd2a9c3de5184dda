"""What can go wrong between a user and the archive, each told apart."""

from ..core.exceptions import ConfigurationError, MissingInputError

__all__ = [
    "AmbiguousValidityError",
    "MissingTimeError",
    "NoValidProductError",
    "NotVerifiedError",
    "OverlappingValidityError",
]


class NoValidProductError(MissingInputError):
    """Nothing is certified for the time that was asked for."""


class AmbiguousValidityError(ConfigurationError):
    """The time that was asked for reaches over the end of a validity: no one product holds."""


class MissingTimeError(ConfigurationError):
    """A lookup without a time: a calibration is valid at a time, never as such."""


class OverlappingValidityError(ConfigurationError):
    """Another product is certified for a part of the time."""


class NotVerifiedError(ConfigurationError):
    """A product without verification, or with a failed one, and without an override."""
