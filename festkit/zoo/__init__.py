"""The zoo: trained weights that come with the kit, each with a record of what it achieves.

The catalogue is ``festkit/pretrained.py``. Its entries are trained, stored, measured and verified
here.

Reading order: `train` (a run becomes an entry), `measure` (metrics on test images), `verify` (check
files against their records), `listing` (all as a table). Nothing is imported here, because the
listing is printed without torch.
"""
