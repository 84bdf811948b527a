"""The explorer: a local page in which one looks at a model while it learns.

A small server of the standard library hands out the page and, one view a file, the data of what is looked at; the
browser draws them by itself, without any library, so that the timeline, the knob of rotations and the clamped sampler
answer at once.  Nothing is written into what is opened.
"""
