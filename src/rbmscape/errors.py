"""One tree of exceptions: each message says what was wrong, what was found, and the cure, in one sentence."""

from __future__ import annotations

__all__ = [
    "CallbackError",
    "ConfigError",
    "DamagedError",
    "DamagedFileWarning",
    "DataError",
    "DiskError",
    "DivergenceError",
    "EngineError",
    "FormatError",
    "InputError",
    "LadderError",
    "LadderStalledError",
    "MissingInputError",
    "NoChainsError",
    "NotAModelError",
    "NotConvergedError",
    "RbmscapeError",
    "RunExistsError",
    "RunLockedError",
    "RunNotFoundError",
    "ShapeError",
    "StudyError",
    "UnresolvedError",
]


class RbmscapeError(Exception):
    """Base of every error that rbmscape raises on purpose."""


class InputError(RbmscapeError, ValueError):
    """An argument has a value that cannot be used."""


class ShapeError(InputError):
    """An array has the wrong shape."""


class DataError(InputError):
    """A data set is empty, not binary, ragged, or does not fit the model."""


class ConfigError(InputError):
    """A configuration holds an unknown key or an impossible value."""


class MissingInputError(InputError):
    """An analysis needs more than it was given: a run, its data, or more checkpoints."""


class NotAModelError(InputError, AttributeError):
    """A run was given where a model is wanted."""


class FormatError(RbmscapeError):
    """A file is not of the expected format, is damaged, or was written by a newer version."""


class DamagedError(FormatError):
    """A file is not what was written: cut off, changed, or another one's."""


class DamagedFileWarning(UserWarning):
    """A file is damaged, and the one before it was taken in its place."""


class RunExistsError(RbmscapeError):
    """A directory already holds results that would be overwritten."""


class RunNotFoundError(RbmscapeError):
    """A directory holds no run."""


class RunLockedError(RbmscapeError):
    """Another process is writing to a run."""


class StudyError(RbmscapeError):
    """A study cannot be planned, executed or collected."""


class DivergenceError(RbmscapeError):
    """Training left the finite numbers; the last good checkpoint is kept."""


class CallbackError(RbmscapeError):
    """A callback of a training failed; what was trained before is saved."""


class LadderStalledError(RbmscapeError):
    """Training in equilibrium went no further: no rate is low enough for its ladder to follow."""


class EngineError(RbmscapeError):
    """A sampling engine or a precision is not available on this machine."""


class NotConvergedError(RbmscapeError):
    """An iteration or chains stopped before they had converged."""


class UnresolvedError(RbmscapeError):
    """A quantity was asked for that the samples at hand do not show."""


class NoChainsError(RbmscapeError):
    """A run keeps no Markov chains."""


class LadderError(RbmscapeError):
    """Tempering would need more rungs than are allowed."""


class DiskError(RbmscapeError):
    """A file could not be written or read."""
