"""Numbers of things, in words for people."""


def counted(number: int, thing: str) -> str:
    """`1 job`, `2,000 jobs`, `3 processes`."""
    if number == 1:
        return f"1 {thing}"
    return f"{number:,} {thing}es" if thing.endswith("s") else f"{number:,} {thing}s"
