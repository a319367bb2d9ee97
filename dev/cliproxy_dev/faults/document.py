"""Put the suite's table between its markers of docs/faults.md. Pure."""

BEGIN = "<!-- faults: begin; made by `make faults`, do not edit -->"
END = "<!-- faults: end -->"


def replace(document: str, section: str) -> str:
    """Return the document with the section between its markers. Raises ValueError when they are missing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks {END if begin else BEGIN}")
    return f"{before}{begin}\n\n{section.strip()}\n\n{end}{after}"
