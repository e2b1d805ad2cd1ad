"""The audit as a chain: sealing, verification, protection; what is refused; searching and exporting it."""
