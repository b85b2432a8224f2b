"""Arrays of pixels and what can be done to them, without files and without torch."""
