"""One document model, printed as HTML, PDF and JSON."""
