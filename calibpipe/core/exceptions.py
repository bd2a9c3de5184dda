"""Errors of the data, of the configuration and of the world, each with its exit code.

A message says what, where, the limit and the remedy. A Tool turns ``exit_code`` into the
exit code of its process; a workflow manager may retry 100 and must not retry the others.
"""


class CalibPipeError(Exception):
    """Something a user or operator can understand and mend."""

    exit_code = 1


class IntermittentError(CalibPipeError):
    """A remote service failed in a way that may pass: try again later."""

    exit_code = 100


class ConfigurationError(CalibPipeError):
    """The configuration or the request is wrong: change it."""

    exit_code = 101


class StorageError(CalibPipeError):
    """A file or database could not be written or read."""

    exit_code = 102


class CorruptedInputError(CalibPipeError):
    """An input is there but cannot be what it claims to be."""

    exit_code = 104


class MissingInputError(CalibPipeError):
    """An input is not there, or does not cover what was asked of it."""

    exit_code = 105


class InsufficientStatisticsError(CalibPipeError):
    """There are too few data for an honest result."""

    exit_code = 106
