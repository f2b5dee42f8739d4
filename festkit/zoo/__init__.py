"""The zoo: pretrained weights, each with a record of its metrics.

The catalogue is ``festkit/pretrained/``. This package trains, stores, evaluates and verifies its
entries.

Reading order: `train` (a run becomes an entry), `measure` (metrics on test images), `verify` (check
files against their records), `listing` (all as a table). Nothing is imported here, because the
listing is printed without torch.
"""
