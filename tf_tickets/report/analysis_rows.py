"""Rows of `analyze` by layer, by network and as a matrix."""


def by_layer(rows, metric):
    """Values by layer of the rows of one network: dict from layer to float, of metrics `<metric>:<layer>`."""
    mark = f"{metric}:"
    return {row["metric"][len(mark) :]: float(row["value"]) for row in rows if row["metric"].startswith(mark)}


def matrix(rows):
    """The CKA matrix of one comparison.

    Args:
      rows: of one network and one setting of `similarity`.

    Returns:
      (names of the lines, names of the columns, dict from (line, column) to float).
    """
    values = {tuple(pair.split(">")): value for pair, value in by_layer(rows, "cka").items()}
    return list(dict.fromkeys(a for a, _ in values)), list(dict.fromkeys(b for _, b in values)), values


def grouped(rows, *columns):
    """Rows by the values of some columns, in the order in which they come."""
    found = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in columns), []).append(row)
    return found
