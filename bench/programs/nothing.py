"""An empty program: the fixed cost of a recording."""
