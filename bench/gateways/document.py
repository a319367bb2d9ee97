"""Put what a run has made between the markers of a document, and leave all else as people wrote it. Pure."""

BEGIN = "<!-- results: begin; made by `make {command}`, do not edit -->"
END = "<!-- results: end -->"


def replace(document: str, section: str, command: str = "bench") -> str:
    """Return the document with the section between the markers of a make target.

    Raises ValueError when they are missing.
    """
    mark = BEGIN.format(command=command)
    before, begin, rest = document.partition(mark)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks {END if begin else mark}")
    return f"{before}{begin}\n\n{section.strip()}\n\n{end}{after}"
