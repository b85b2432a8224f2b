"""Records on disk: folders written whole or not at all, hashed, with lineage."""
