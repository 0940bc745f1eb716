"""Every error that a user of netwright can meet.

All derive from `NetwrightError` and from the built-in they refine, so both habits of catching work.
A message says what was wrong, what was expected and how to mend it, in one line.

NetwrightError
  ShapeError            (ValueError)    a tensor of another shape, rank or dtype
  ParameterNameError    (ValueError)    names of parameters that a child does not have, or lacks
  UnsupportedChildError (TypeError)     a module that cannot be run as a function of its parameters
  ConditionError        (ValueError)    a condition that no network can be written from
  DataError             (ValueError)    files or values that no task can be made of
  BankError             (LookupError)   a bank of networks that lacks or cannot hold what is asked
  ArtifactError         (ValueError)    a saved file that is missing, damaged or of another kind
    ExportError           (ArtifactError) a network that a format cannot express
    SignatureError        (ArtifactError) a signature that is false, missing or somebody else's, or a key that is none
  RegistryError         (RuntimeError)  a registry of networks that refuses what is asked of it
    UnknownNetworkError     (LookupError)     a network that is not there, or is somebody else's
    RegistryUnavailableError (ConnectionError) a registry whose database or files cannot be reached now
  RunError              (ValueError)    a run record or option that does not hold together
  TrainingError         (RuntimeError)  a training that cannot go on
  StatisticsError       (ValueError)    scores from which nothing can be claimed
  MissingExtraError     (ImportError)   an optional dependency that is not installed
"""


class NetwrightError(Exception):
    """Base of every error that netwright raises on purpose."""


class ShapeError(NetwrightError, ValueError):
    """A tensor of another shape, rank or dtype than expected."""


class ParameterNameError(NetwrightError, ValueError):
    """Names of parameters that a child does not have, or that it lacks."""


class UnsupportedChildError(NetwrightError, TypeError):
    """A module that cannot be run correctly as a function of its parameters."""


class ConditionError(NetwrightError, ValueError):
    """A condition from which no network can be written."""


class DataError(NetwrightError, ValueError):
    """Files or values of which no task can be made."""


class BankError(NetwrightError, LookupError):
    """A bank of networks that lacks, or cannot hold, what is asked of it."""


class ArtifactError(NetwrightError, ValueError):
    """A saved file or folder that is missing, damaged, newer, or of another kind."""


class SignatureError(ArtifactError):
    """A signature that is false, missing or somebody else's, or a key that is none."""


class RegistryError(NetwrightError, RuntimeError):
    """A registry of networks that refuses what is asked of it."""


class UnknownNetworkError(RegistryError, LookupError):
    """A network that a registry does not have, or that is somebody else's."""


class RegistryUnavailableError(RegistryError, ConnectionError):
    """A registry whose database or files cannot be reached or written now; nothing has changed, try again."""


class ExportError(ArtifactError):
    """A network that a format cannot express, or that answers otherwise in it."""


class RunError(NetwrightError, ValueError):
    """A run record, or an option of one, that does not hold together."""


class TrainingError(NetwrightError, RuntimeError):
    """A training that cannot go on."""


class StatisticsError(NetwrightError, ValueError):
    """Scores, or an option, from which no statistical claim can be made."""


class MissingExtraError(NetwrightError, ImportError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package `{package}`, which is not installed. "
            f"Install it with: pip install 'netwright[{extra}]'"
        )
