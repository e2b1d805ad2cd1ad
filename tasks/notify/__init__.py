"""Notifications, from what happened to what a person reads.

``notices`` writes down what happened, in the transaction of its cause; ``outbox`` collects that into one message for
each channel; ``wording`` says it; ``sender`` has it sent through apprise by a process of its own (``courier``), and
records what came of it. This package imports nothing, so that the courier needs neither Django nor settings.
"""
