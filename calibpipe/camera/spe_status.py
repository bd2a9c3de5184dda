"""Why a pixel has no single photoelectron, or none to rely on."""

from enum import IntFlag

__all__ = ["FATAL", "REASONS", "SpeStatus", "reasons"]


class SpeStatus(IntFlag):
    """Bits of the status of a pixel; a good pixel has none."""

    EMPTY = 1
    TOO_FEW_EVENTS = 2
    SATURATED = 4
    CLIPPED = 8
    NO_SIGNAL = 16
    TOO_BRIGHT = 32
    NOT_CONVERGED = 64
    AT_BOUND = 128
    POOR_FIT = 256
    OUTLIER = 512
    WITHOUT_HIGH_VOLTAGE = 1024
    UNRESOLVED = 2048


# numbers are NaN with one of these
FATAL = (
    SpeStatus.EMPTY
    | SpeStatus.TOO_FEW_EVENTS
    | SpeStatus.SATURATED
    | SpeStatus.CLIPPED
    | SpeStatus.NO_SIGNAL
    | SpeStatus.TOO_BRIGHT
    | SpeStatus.NOT_CONVERGED
    | SpeStatus.UNRESOLVED
)

REASONS = {
    SpeStatus.EMPTY: "no event, or the same charge in all",
    SpeStatus.TOO_FEW_EVENTS: "fewer events than `min_events`",
    SpeStatus.SATURATED: "samples at the end of the ADC",
    SpeStatus.CLIPPED: "events outside the range of the spectrum",
    SpeStatus.NO_SIGNAL: "no photoelectrons above the pedestal: light or voltage off, or low gain",
    SpeStatus.TOO_BRIGHT: "no pedestal peak below the light",
    SpeStatus.NOT_CONVERGED: "the fit did not converge",
    SpeStatus.AT_BOUND: "a parameter is at its bound",
    SpeStatus.POOR_FIT: "the model does not describe the spectrum",
    SpeStatus.OUTLIER: "gain far from that of the camera",
    SpeStatus.WITHOUT_HIGH_VOLTAGE: "spectrum of high voltage unusable: shape is not its own",
    SpeStatus.UNRESOLVED: "gain too small against the width of the pedestal: low gain",
}


def reasons(status: int) -> list[str]:
    """Texts of the bits of a status."""
    return [text for bit, text in REASONS.items() if int(status) & bit]
