"""Looks through finished files for what must not leave the hospital."""
