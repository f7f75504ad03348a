"""URLs as they may be shown."""

import re

_PASSWORD = re.compile(r"(://[^/:@]*:)[^/]*@")
_SECRET_OPTION = re.compile(r"([?&](?:password|token)=)[^&#]*", re.IGNORECASE)


def redacted(url: str) -> str:
    """`url` with `***` in the place of a password."""
    return _SECRET_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1***@", url, count=1))
