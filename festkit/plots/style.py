"""Colours that the colour-blind tell apart as well."""

TRUTH, STRONG, WEAK, MISSED, FALSE = "#56B4E9", "#E69F00", "#F0E442", "#D55E00", "#CC79A7"

LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Of curves, in order; the line style changes along."""

DASHES = ("-", "--", "-.", ":")
