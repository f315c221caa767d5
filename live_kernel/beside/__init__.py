"""What runs in the local kernel, beside the stock ipykernel that it is.

The local kernel is a child of the launcher, with the launcher's rights and
interpreter; `%%local` cells run in it. Rule: nothing of this is seen by cells.
"""
