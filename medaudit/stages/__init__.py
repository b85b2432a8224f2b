"""One file per command: read artifacts, call below, write one artifact."""
