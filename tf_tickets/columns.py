"""Text in the columns of a terminal, where a character is not always one column wide."""

import unicodedata


def width(text):
    """The columns that text takes in a terminal: two of wide characters, none of marks on others."""
    if text.isascii():
        return len(text)
    marks = ("Mn", "Me", "Cf")
    wide = (2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text if unicodedata.category(c) not in marks)
    return sum(wide)


def left(text, columns):
    """Text with spaces behind it, so that it takes that many columns."""
    return text + " " * (columns - width(text))


def right(text, columns):
    """Text with spaces before it, so that it takes that many columns."""
    return " " * (columns - width(text)) + text
