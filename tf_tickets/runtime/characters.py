"""Characters in names that people gave: which of them no list can hold, or no reader can see."""

import unicodedata

# Controls, formats (invisible, or they turn the direction of text), surrogates, private use, breaks of lines.
_REFUSED = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def refused(text: str) -> str | None:
    """The first character that no list could hold or no reader could see, in words; None where all can be shown.

    The only space is the plain one: others look the same.
    """
    for character in text:
        category = unicodedata.category(character)
        if category in _REFUSED or (category == "Zs" and character != " "):
            name = unicodedata.name(character, "")
            return f"U+{ord(character):04X}{f' ({name})' if name else ''}"
    return None
