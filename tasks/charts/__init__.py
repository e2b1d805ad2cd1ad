"""Charts as geometry: series in, coordinates and words out. Pure; the templates turn them into SVG.

No script and no other origin is needed for them. Each has its message as a sentence and its values as a table.
"""
