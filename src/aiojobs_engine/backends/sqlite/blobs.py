"""Many byte strings in one parameter, so that a whole batch of them travels in one step."""


class Blobs:
    """Collects byte strings; a statement cuts them out again with `substr`."""

    __slots__ = ("_length", "_parts")

    def __init__(self) -> None:
        """Start empty."""
        self._parts: list[bytes] = []
        self._length = 0

    def add(self, part: bytes | None) -> tuple[int, int]:
        """Where the part stands: its start, 1 based, and its length; (0, 0) for none."""
        if not part:
            return 0, 0
        start = self._length + 1
        self._parts.append(part)
        self._length += len(part)
        return start, len(part)

    def joined(self) -> bytes:
        """All parts, one after the other."""
        return b"".join(self._parts)
