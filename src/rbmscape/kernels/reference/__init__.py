"""The truth, in plain torch on any device."""
