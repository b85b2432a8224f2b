"""A network that learns, on the hospital's own films alone, to find a film again after it was edited."""
