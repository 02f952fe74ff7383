"""One day in three calendars, and the moments of statements.

A day is a `datetime.date`; a calendar is a way of writing it. Solar Hijri by persiantools, Hijri by hijridate, which holds
the tables of Umm al-Qura for 1343 to 1500: outside them, and where a month is begun by sighting, the Hijri day is unknown or
may differ by a day or two. Unknown is a value (design, law 7): None, and a word for it in `three`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from hijridate import Gregorian, Hijri
from persiantools.jdatetime import JalaliDate

from mithaq.kernel.errors import Malformed
from mithaq.kernel.text import ascii_digits, digits, fold

CALENDARS: Final = ("gregorian", "solar_hijri", "hijri")

MONTHS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "gregorian": {
        "en": tuple(
            "January February March April May June July August September October November December".split()  # noqa: SIM905 -- one line is easier to compare
        ),
        "ar": (
            "كانون الثاني", "شباط", "آذار", "نيسان", "أيار", "حزيران",
            "تموز", "آب", "أيلول", "تشرين الأول", "تشرين الثاني", "كانون الأول",
        ),
        "fa": (
            "ژانویه", "فوریه", "مارس", "آوریل", "مه", "ژوئن",
            "ژوئیه", "اوت", "سپتامبر", "اکتبر", "نوامبر", "دسامبر",
        ),
    },
    "solar_hijri": {
        "en": (
            "Farvardin", "Ordibehesht", "Khordad", "Tir", "Mordad", "Shahrivar",
            "Mehr", "Aban", "Azar", "Dey", "Bahman", "Esfand",
        ),
        "ar": (
            "فروردين", "أرديبهشت", "خرداد", "تير", "مرداد", "شهريور",
            "مهر", "آبان", "آذر", "دي", "بهمن", "إسفند",
        ),
        "fa": (
            "فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور",
            "مهر", "آبان", "آذر", "دی", "بهمن", "اسفند",
        ),
    },
    "hijri": {
        "en": (
            "Muharram", "Safar", "Rabi al-Awwal", "Rabi al-Thani", "Jumada al-Ula", "Jumada al-Akhira",
            "Rajab", "Shaban", "Ramadan", "Shawwal", "Dhu al-Qada", "Dhu al-Hijja",
        ),
        "ar": (
            "محرم", "صفر", "ربيع الأول", "ربيع الآخر", "جمادى الأولى", "جمادى الآخرة",
            "رجب", "شعبان", "رمضان", "شوال", "ذو القعدة", "ذو الحجة",
        ),
        "fa": (
            "محرم", "صفر", "ربیع‌الاول", "ربیع‌الثانی", "جمادی‌الاول", "جمادی‌الثانی",
            "رجب", "شعبان", "رمضان", "شوال", "ذی‌القعده", "ذی‌الحجه",
        ),
    },
}  # fmt: skip
"""Arabic month names as in Mesopotamia and the Levant (the Syriac ones), Persian ones by the Solar Hijri year."""

_solar_day: Callable[..., JalaliDate] = JalaliDate
"""persiantools gives its constructor no types; here it takes a date, or year, month and day."""

_ERAS = {
    "gregorian": {"en": "", "ar": "", "fa": ""},
    "solar_hijri": {"en": " SH", "ar": " هـ.ش", "fa": ""},
    "hijri": {"en": " AH", "ar": " هـ", "fa": " قمری"},
}
_UNKNOWN = {"en": "unknown", "ar": "غير معلوم", "fa": "نامعلوم"}
_NUMERIC = re.compile(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})")
_NAMED = re.compile(r"([0-9]{1,2}) ([^0-9]{2,30}) ([0-9]{4})(?: [^0-9]{1,10})?")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_LAST_SECOND = 253402300799
"""9999-12-31T23:59:59Z, the last moment that the form of a statement's time can hold."""
_LONGEST_DAY = 64
_LONGEST_QUOTE = 80


class Day(NamedTuple):
    """Year, month (from 1) and day of the month in some calendar."""

    year: int
    month: int
    day: int


def gregorian(day: date) -> Day:
    """Give the day in the Gregorian calendar."""
    return Day(day.year, day.month, day.day)


def solar_hijri(day: date) -> Day | None:
    """Give the day in the Solar Hijri calendar; None before its first year."""
    try:
        converted = _solar_day(day)
    except (ValueError, OverflowError):
        return None
    return Day(converted.year, converted.month, converted.day)


def hijri(day: date) -> Day | None:
    """Give the day by the tables of Umm al-Qura; None outside them (before 1 August 1924, after 16 November 2077)."""
    try:
        converted = Gregorian.fromdate(day).to_hijri()
    except (ValueError, OverflowError):
        return None
    return Day(converted.year, converted.month, converted.day)


_CONVERSIONS = {"gregorian": gregorian, "solar_hijri": solar_hijri, "hijri": hijri}


def written(day: date, calendar: str, lang: str) -> str:
    """Write the day with the month's name and the digits of the language, or the language's word for unknown."""
    if calendar not in _CONVERSIONS:
        raise Malformed("calendar.no_such_calendar", value=calendar[:_LONGEST_QUOTE])
    lang = lang if lang in _UNKNOWN else "en"
    found = _CONVERSIONS[calendar](day)
    if found is None:
        return _UNKNOWN[lang]
    month = MONTHS[calendar][lang][found.month - 1]
    return f"{digits(found.day, lang)} {month} {digits(f'{found.year:04d}', lang)}{_ERAS[calendar][lang]}"


def three(day: date, lang: str) -> tuple[str, str, str]:
    """Write the day in all three calendars, in the order of `CALENDARS`."""
    return written(day, "gregorian", lang), written(day, "solar_hijri", lang), written(day, "hijri", lang)


@lru_cache(maxsize=1)
def _month_numbers() -> dict[tuple[str, str], int]:
    return {
        (calendar, fold(name)): number
        for calendar, languages in MONTHS.items()
        for names in languages.values()
        for number, name in enumerate(names, 1)
    }


def parse_day(text: str, calendar: str = "gregorian") -> date:
    """Read what a person typed: year, month, day with - / or . between, or the day as `written` writes it.

    Digits may be ASCII, Arabic-Indic or Extended Arabic-Indic, month names in any of the three languages. The year comes
    first in figures, because 3/4/2023 means two days. Raises Malformed: calendar.no_such_day, calendar.no_such_calendar.
    """
    if calendar not in CALENDARS:
        raise Malformed("calendar.no_such_calendar", value=calendar[:_LONGEST_QUOTE])
    plain = " ".join(ascii_digits(text[: _LONGEST_DAY + 1]).split())
    day = _read(plain, calendar) if len(text) <= _LONGEST_DAY else None
    if day is None:
        raise Malformed("calendar.no_such_day", value=text[:_LONGEST_QUOTE], calendar=calendar)
    try:
        if calendar == "solar_hijri":
            converted: date = _solar_day(*day).to_gregorian()
            return converted
        if calendar == "hijri":
            return date.fromisoformat(Hijri(*day).to_gregorian().isoformat())
        return date(*day)
    except (ValueError, OverflowError):
        raise Malformed("calendar.no_such_day", value=text[:_LONGEST_QUOTE], calendar=calendar) from None


def _read(plain: str, calendar: str) -> Day | None:
    numeric = _NUMERIC.fullmatch(plain)
    if numeric:
        return Day(int(numeric[1]), int(numeric[3]), int(numeric[4]))
    named = _NAMED.fullmatch(plain)
    month = _month_numbers().get((calendar, fold(named[2]))) if named else None
    return Day(int(named[3]), month, int(named[1])) if named and month else None


def moment(text: str) -> datetime:
    """Read the time of a statement, `YYYY-MM-DDTHH:MM:SSZ`, UTC and whole seconds. Raises Malformed."""
    if _MOMENT.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise Malformed("calendar.no_such_moment", value=text[:_LONGEST_QUOTE])


def moment_text(seconds: int) -> str:
    """Write Unix seconds (0 to the end of the year 9999) as the time of a statement. Raises Malformed."""
    if not 0 <= seconds <= _LAST_SECOND:
        raise Malformed("calendar.no_such_moment", value=str(seconds)[:_LONGEST_QUOTE])
    days, second = divmod(seconds, 86400)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return f"{_day_text(days)}T{hour:02d}:{minute:02d}:{second:02d}Z"


@lru_cache(maxsize=16)
def _day_text(days: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(days * 86400))


def today() -> date:
    """Give the present day in UTC; only for faces and defaults, never for a check."""
    return datetime.now(UTC).date()
