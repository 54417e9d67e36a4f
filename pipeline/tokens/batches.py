"""Training batches: samples of an order, read from the pieces. A step's batch is a function of its numbers."""

import numpy as np

from pipeline.tokens.order import Order
from pipeline.tokens.pieces import TokenReader, Tokens


class Batches:
    """Windows of ``context + 1`` tokens; the inputs are the first ``context`` of them, the targets the last."""

    def __init__(self, reader: TokenReader, order: Order, context: int) -> None:
        self._reader, self._order, self._context = reader, order, context

    def sequence(self, k: int) -> Tokens:
        """Sample k, ``[context + 1]``."""
        source, window = self._order.sample(k)
        return self._reader.window(source, window * self._context, self._context + 1)

    def batch(self, first: int, count: int) -> Tokens:
        """Samples ``first .. first + count - 1``, ``[count, context + 1]``."""
        if not count:
            return np.zeros((0, self._context + 1), np.int64)
        return np.stack([self.sequence(k) for k in range(first, first + count)])
