"""Who belongs to whom at the least total cost, for a few dozen on either side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]
Indices = NDArray[np.intp]


def assign(cost: Costs) -> tuple[Indices, Indices]:
    """Pair rows with columns so that the sum of the costs is least.

    Exact: shortest augmenting paths (Kuhn 1955, in the form of Jonker and Volgenant 1987), one row
    after the other. The runtime does without SciPy, whose `linear_sum_assignment` gives the same.

    Args:
        cost: (n, m) finite.

    Returns:
        rows and columns, each (min(n, m),), rows ascending.
    """
    n, m = cost.shape
    if n > m:
        columns, rows = assign(cost.T)
        order = rows.argsort()
        return rows[order], columns[order]
    best = cost.argmin(axis=1) if m else np.zeros(0, np.intp)
    if len(set(best.tolist())) == n:  # nobody competes: the usual case
        return np.arange(n), best
    owner = np.full(m, -1)  # row of each column
    row_price, column_price = np.zeros(n), np.zeros(m)
    for row in range(n):
        _augment(cost, row, owner, row_price, column_price)
    columns = np.flatnonzero(owner >= 0)
    order = owner[columns].argsort()
    return owner[columns][order], columns[order]


def _augment(
    cost: Costs, start: int, owner: Indices, row_price: Costs, column_price: Costs
) -> None:
    """Give row `start` a column along the cheapest alternating path, and update the prices."""
    m = cost.shape[1]
    shortest, came_from = np.full(m, np.inf), np.full(m, -1)
    done = np.zeros(m, np.bool_)
    reached = [start]  # rows on the tree
    row, length, last = start, 0.0, -1
    while last < 0:
        path = length + cost[row] - row_price[row] - column_price
        better = ~done & (path < shortest)
        shortest[better], came_from[better] = path[better], row
        column = int(np.where(done, np.inf, shortest).argmin())
        length = float(shortest[column])
        done[column] = True
        if owner[column] < 0:
            last = column
        else:
            row = int(owner[column])
            reached.append(row)
    row_price[start] += length
    held = {int(owner[column]): column for column in np.flatnonzero(done) if owner[column] >= 0}
    for other in reached[1:]:
        row_price[other] += length - shortest[held[other]]
    column_price[done] -= length - shortest[done]
    column, row = last, -1
    while row != start:
        row = int(came_from[column])
        owner[column], column = row, _column_of(owner, row)


def _column_of(owner: Indices, row: int) -> int:
    columns = np.flatnonzero(owner == row)
    return int(columns[0]) if len(columns) else -1
