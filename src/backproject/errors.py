"""What can go wrong, said to the reader.

    BackprojectError
    |-- InputError            (ValueError)         values that cannot be what they are said to be
    |-- FormatError           (ValueError)         a file whose content cannot be read as its format
    |-- FileMissingError      (FileNotFoundError)  a file or folder that is not there
    |-- OutputError           (OSError)            a place that cannot be written
    `-- ReconstructionError   (RuntimeError)       sound input that holds nothing to reconstruct

    ContradictionWarning      (UserWarning)        views that cannot all be right

Each message names the file or argument, what was found, what was expected and, where known, what to
do.
"""


class BackprojectError(Exception):
    """Base of every error that this package raises on purpose.

    Its message is one line: what a file's names hold beside printable characters is escaped.
    """

    def __str__(self) -> str:
        return "".join(
            each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
            for each in super().__str__()
        )


class InputError(BackprojectError, ValueError):
    """A value given by the caller cannot be what it is said to be."""


class FormatError(BackprojectError, ValueError):
    """A file's content cannot be read as its format."""


class FileMissingError(BackprojectError, FileNotFoundError):
    """A file or folder that was named is not there."""


class OutputError(BackprojectError, OSError):
    """A result cannot be written where it was asked for."""


class ReconstructionError(BackprojectError, RuntimeError):
    """The input is sound but holds nothing that could be reconstructed."""


class ContradictionWarning(UserWarning):
    """The views contradict each other badly: the result is of little worth, and a camera or what
    depth means is wrong.
    """
