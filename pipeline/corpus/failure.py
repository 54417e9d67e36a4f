"""Our own errors as text, so that they leave a task of Ray Data as a row.

Ray Data wraps what a task raises, and the wrapped error does not survive the way to the driver: only its words do.
"""

import json

from cluster import errors
from cluster.errors import FirstlightError


def pack(error: FirstlightError) -> str:
    """Class and arguments of an error."""
    arguments = error.__reduce__()[1]
    return json.dumps([type(error).__name__, list(arguments)], default=str)


def unpack(text: str) -> FirstlightError:
    """The error again; as a FirstlightError with the same words where its class is not one of cluster.errors."""
    name, arguments = json.loads(text)
    kind = getattr(errors, name, FirstlightError)
    made: FirstlightError = kind(*arguments)
    return made
