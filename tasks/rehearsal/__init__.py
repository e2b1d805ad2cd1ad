"""Rehearsal: a set is restored into a scratch home, and a real IoTDB starts from it in namespaces of its own.

IoTDB insists on the addresses and ports of its first start. A network namespace gives them beside whatever listens on
them outside (design.md, decision 18); a mount namespace lets the scratch server write to its scratch home and nowhere
else; a PID namespace ends everything in it at once. Nothing here knows of the database; ``inside`` runs without Django.
"""
