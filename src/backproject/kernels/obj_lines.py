"""The lines of an OBJ file that hold vertices and faces, read byte by byte.

Only what programs usually write is understood, and nothing is guessed: anything else is told, and
left to a reader that knows all of Python's words for numbers and lines.
"""

import numpy as np
from numba import njit

TAB, NEWLINE, RETURN, SPACE, PLUS, MINUS, POINT, SLASH = 9, 10, 13, 32, 43, 45, 46, 47
ZERO, NINE, BACKSLASH, SMALL_E, SMALL_F, SMALL_V, DELETE = 48, 57, 92, 101, 102, 118, 127
LOWER = 32
"""Bit that makes a letter lower case."""
EXACT = 2**53
"""Whole numbers up to this are float64 numbers; and so are ..."""
POWERS = 10.0 ** np.arange(23)
"""... these powers of ten. A product or quotient of two is rounded once: the nearest number, which
is what Python's `float` gives (W. D. Clinger, How to read floating point numbers accurately, 1990).
"""
FULL, MANY = 10**17, 10**18
"""There is room for another digit up to the first; the second stands for more than have room."""
SPLITTER = 2.0**27 + 1
SURE = 2.0**-40
"""A correction's relative error, a thousand times over."""
LATER = np.nan
"""Stands for a number that is to be read in another way."""


@njit(cache=True, nogil=True)
def count_lines(text, counts):
    """Fill `counts` (4,) with the vertices in `text` (B,) uint8, numbers of each, faces and corners
    of all, and tell whether all lines are of a known kind.

    They are not where a line is indented, vertices differ in how many numbers they have, or a byte
    might end a line or part words and is no space, tab, or end of line, or a line goes on in the
    next.
    """
    counts[:] = 0
    at = 0
    while at < len(text):
        first = text[at]
        if first in (SPACE, TAB):
            return False
        if first in (SMALL_V, SMALL_F) and ends_word(text, at + 1):
            at, words = count_words(text, at + 1)
            if words < 1:
                return False
            if first == SMALL_F:
                counts[2] += 1
                counts[3] += words
            else:
                if counts[0] and counts[1] != words:
                    return False
                counts[0] += 1
                counts[1] = words
        while at < len(text) and text[at] not in (NEWLINE, RETURN):
            if (text[at] < SPACE and text[at] != TAB) or parts_lines(text, at):
                return False
            at += 1
        if at > 0 and text[at - 1] == BACKSLASH:
            return False
        at += 1
    return True


@njit(cache=True, nogil=True, inline="always")
def parts_lines(text, at):
    """Tell whether there is one of Unicode's ends of a line: U+0085, U+2028 or U+2029."""
    if text[at] < DELETE or at + 2 >= len(text):
        return False
    first, second, third = text[at], text[at + 1], text[at + 2]
    return (first == 0xC2 and second == 0x85) or (
        first == 0xE2 and second == 0x80 and third in (0xA8, 0xA9)
    )


@njit(cache=True, nogil=True)
def ends_word(text, at):
    """Tell whether there is a space, a tab, an end of line or no more text."""
    return at >= len(text) or text[at] <= SPACE


@njit(cache=True, nogil=True)
def skip_blanks(text, at):
    """Return where the next word, or the end of the line, is."""
    while at < len(text) and text[at] in (SPACE, TAB):
        at += 1
    return at


@njit(cache=True, nogil=True)
def count_words(text, at):
    """Return where the line ends, and its words from `at` on; -1 if a byte is not ASCII's."""
    words = 0
    while True:
        at = skip_blanks(text, at)
        if ends_word(text, at):
            return at, words
        words += 1
        while not ends_word(text, at):
            if text[at] >= DELETE:
                return at, -1
            at += 1


@njit(cache=True, nogil=True)
def read_lines(text, numbers, places, corners, sizes):
    """Fill `numbers` (V W,), `corners` (C,), from 0, and `sizes` (F,) from a `text` whose lines
    were counted.

    Return how many of `places` (V W,) in the text hold numbers left as nan, to be read in another
    way; -1 if a word is no number, or a vertex that does not exist is counted back to.
    """
    at = n = c = f = later = vertices = 0
    while at < len(text):
        first = text[at]
        if first == SMALL_V and ends_word(text, at + 1):
            at = skip_blanks(text, at + 1)
            while not ends_word(text, at):
                places[later] = at
                at, numbers[n] = read_number(text, at)
                if at < 0:
                    return -1
                later += numbers[n] != numbers[n]
                n += 1
                at = skip_blanks(text, at)
            vertices += 1
        elif first == SMALL_F and ends_word(text, at + 1):
            begin = c
            at = skip_blanks(text, at + 1)
            while not ends_word(text, at):
                at, index = read_index(text, at, vertices)
                if at < 0:
                    return -1
                corners[c] = index
                c += 1
                at = skip_blanks(text, at)
            sizes[f] = c - begin
            f += 1
        while at < len(text) and text[at] not in (NEWLINE, RETURN):
            at += 1
        at += 1
    return later


@njit(cache=True, nogil=True)
def read_sign(text, at):
    """Return where the digits begin, and whether a minus is before them."""
    if at < len(text) and (text[at] == PLUS or text[at] == MINUS):
        return at + 1, text[at] == MINUS
    return at, False


@njit(cache=True, nogil=True)
def read_digits(text, at, number):
    """Return where digits end, and the number with them appended, or `MANY`."""
    while at < len(text) and ZERO <= text[at] <= NINE:
        number = number * 10 + (np.int64(text[at]) - ZERO) if number < FULL else MANY
        at += 1
    return at, number


@njit(cache=True, nogil=True)
def read_index(text, at, vertices):
    """Return where the word ends, -1 if it is no corner, and its vertex: `7`, `7/2/3`, or `-1//4`,
    counted back from the vertices so far.
    """
    at, minus = read_sign(text, at)
    at, number = read_digits(text, at, 0)
    if number == 0 or number > EXACT or (minus and number > vertices):
        return -1, 0
    if not ends_word(text, at) and text[at] != SLASH:
        return -1, 0
    while not ends_word(text, at):
        at += 1
    return at, vertices - number if minus else number - 1


@njit(cache=True, nogil=True)
def read_number(text, at):
    """Return where the word ends, -1 if it is no decimal number, and the nearest float64; nan where
    that takes more than one rounding.
    """
    at, minus = read_sign(text, at)
    begin = at
    at, mantissa = read_digits(text, at, 0)
    digits = at - begin
    power = 0
    if at < len(text) and text[at] == POINT:
        begin = at + 1
        at, mantissa = read_digits(text, begin, mantissa)
        power = begin - at
        digits += at - begin
    if digits == 0:
        return -1, 0.0
    if at < len(text) and text[at] | LOWER == SMALL_E:
        begin, down = read_sign(text, at + 1)
        at, exponent = read_digits(text, begin, 0)
        if at == begin:
            return -1, 0.0
        power += -exponent if down else exponent
    if not ends_word(text, at):
        return -1, 0.0
    if mantissa >= MANY or abs(power) >= len(POWERS) or (mantissa > EXACT and power > 0):
        return at, LATER
    if mantissa > EXACT:
        number = quotient(mantissa, POWERS[-power])
    else:
        number = np.float64(mantissa)
        number = number / POWERS[-power] if power < 0 else number * POWERS[power]
    return at, -number if minus else number


@njit(cache=True, nogil=True)
def quotient(mantissa, power):
    """Return the float64 nearest to a whole number over a power of ten; nan where it is too close
    to the middle of two to tell.

    The first quotient's remainder is exact (T. J. Dekker, A floating-point technique for extending
    the available precision, 1971), so the correction is known to 15 digits of its own.
    """
    first = np.float64(mantissa)
    rest = mantissa - np.int64(first)
    number = first / power
    product = number * power
    high, low = halves(number)
    above, below = halves(power)
    beyond = high * above - product + high * below + low * above + low * below
    correction = (first - product - beyond + rest) / power
    least = number + correction * (1.0 - SURE)
    return least if least == number + correction * (1.0 + SURE) else LATER


@njit(cache=True, nogil=True)
def halves(number):
    """Return two numbers of half as many digits with the same sum."""
    turned = SPLITTER * number
    high = turned - (turned - number)
    return high, number - high
