"""What the service's packages are, for who has not installed them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cxreader.errors import MissingDependencyError


@contextmanager
def serve_extra() -> Iterator[None]:
    """Around the imports of a command: a package that is missing is told with the line that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"the service needs {error.name}", mend="pip install 'cxreader[serve]'") from None
