"""One file a figure: ``compute`` returns a Dataset, ``draw`` turns a Dataset into a Figure."""
