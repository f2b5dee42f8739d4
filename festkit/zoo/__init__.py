"""The zoo: trained weights that come with the kit, and the honest record of each.

The catalogue is ``festkit/pretrained.py``; here an entry is trained, stored, measured and verified.

Reading order: `making` (train), `storing` (a run becomes an entry), `images` (test images),
`measuring` (figures on them), `verifying` (are the files what they say), `listing` (a table of it
all). The table is printed without torch, so that nothing is imported here.
"""
