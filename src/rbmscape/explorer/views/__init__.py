"""One file a view; found here by `rbmscape.explorer.registry`."""
