"""Benchmarks: ``python -m bench`` runs all, ``python -m bench NAME`` one of them, ``--quick`` a short form."""
