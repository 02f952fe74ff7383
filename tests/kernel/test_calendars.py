"""One day in three calendars, and the moments of statements."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mithaq.kernel.calendars import (
    CALENDARS,
    MONTHS,
    gregorian,
    hijri,
    moment,
    moment_text,
    parse_day,
    solar_hijri,
    three,
    written,
)
from mithaq.kernel.errors import Malformed

PACT = date(2023, 3, 19)
LANGUAGES = ("ar", "fa", "en")


def test_the_day_of_the_pact_is_written_in_three_calendars_and_three_languages() -> None:
    assert three(PACT, "en") == ("19 March 2023", "28 Esfand 1401 SH", "27 Shaban 1444 AH")
    assert three(PACT, "ar") == ("١٩ آذار ٢٠٢٣", "٢٨ إسفند ١٤٠١ هـ.ش", "٢٧ شعبان ١٤٤٤ هـ")
    assert three(PACT, "fa") == ("۱۹ مارس ۲۰۲۳", "۲۸ اسفند ۱۴۰۱", "۲۷ شعبان ۱۴۴۴ قمری")


def test_known_days_stand_in_each_calendar() -> None:
    assert gregorian(PACT) == (2023, 3, 19)
    assert solar_hijri(date(2024, 3, 20)) == (1403, 1, 1)
    assert hijri(date(2025, 8, 14)) == (1447, 2, 20)


def test_a_day_outside_the_tables_is_unknown_and_said_so() -> None:
    assert hijri(date(1924, 7, 31)) is None
    assert hijri(date(2077, 11, 17)) is None
    assert solar_hijri(date(600, 1, 1)) is None
    assert written(date(1900, 1, 1), "hijri", "en") == "unknown"
    assert written(date(1900, 1, 1), "hijri", "ar") == "غير معلوم"
    assert written(date(1900, 1, 1), "hijri", "fa") == "نامعلوم"


@given(st.dates(date(1924, 8, 1), date(2077, 11, 16)), st.sampled_from(CALENDARS), st.sampled_from(LANGUAGES))
def test_a_written_day_is_read_back_in_every_calendar_and_language(day: date, calendar: str, lang: str) -> None:
    assert parse_day(written(day, calendar, lang), calendar) == day


@given(st.dates(min_value=date(622, 3, 22)))
def test_every_date_of_python_is_written_or_unknown(day: date) -> None:
    for lang in LANGUAGES:
        assert all(three(day, lang))


@pytest.mark.parametrize(
    "text, calendar",
    [
        ("2023-03-19", "gregorian"),
        ("2023/3/19", "gregorian"),
        (" ٢٠٢٣-٠٣-١٩ ", "gregorian"),
        ("۲۰۲۳.۳.۱۹", "gregorian"),
        ("19 march 2023", "gregorian"),
        ("۱۴۰۱/۱۲/۲۸", "solar_hijri"),
        ("1401-12-28", "solar_hijri"),
        ("١٤٤٤/٨/٢٧", "hijri"),
        ("27 شعبان 1444", "hijri"),
    ],
)
def test_a_day_is_read_with_the_digits_of_any_of_the_languages(text: str, calendar: str) -> None:
    assert parse_day(text, calendar) == PACT


@pytest.mark.parametrize(
    "text, calendar",
    [
        ("2023-02-29", "gregorian"),
        ("2023-13-01", "gregorian"),
        ("19/03/2023", "gregorian"),
        ("2023-03/19", "gregorian"),
        ("", "gregorian"),
        ("1402/12/30", "solar_hijri"),
        ("1600/01/01", "hijri"),
        ("1444/13/01", "hijri"),
        ("19 Brumaire 2023", "gregorian"),
        ("0000-01-01", "gregorian"),
        ("0000-01-01", "solar_hijri"),
        ("9999-01-01", "solar_hijri"),
        ("1" * 100000, "gregorian"),
        ("²023-03-19", "gregorian"),
    ],
)
def test_what_is_no_day_of_the_calendar_is_refused(text: str, calendar: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_day(text, calendar)
    assert caught.value.code == "calendar.no_such_day"


@given(st.text(max_size=80), st.sampled_from(CALENDARS))
def test_any_text_is_a_day_or_malformed(text: str, calendar: str) -> None:
    try:
        parse_day(text, calendar)
    except Malformed as refused:
        assert refused.code == "calendar.no_such_day"  # noqa: PT017 -- a few texts are days


def test_a_calendar_that_is_not_there_is_refused() -> None:
    for ask in (lambda: parse_day("2023-03-19", "julian"), lambda: written(PACT, "julian", "en")):
        with pytest.raises(Malformed) as caught:
            ask()
        assert caught.value.code == "calendar.no_such_calendar"


def test_every_calendar_has_twelve_different_months_in_every_language() -> None:
    for languages in MONTHS.values():
        for lang in LANGUAGES:
            assert len(set(languages[lang])) == 12


@given(st.integers(0, 253402300799))
def test_a_moment_is_written_and_read_back(seconds: int) -> None:
    text = moment_text(seconds)
    assert moment(text) == datetime.fromtimestamp(seconds, UTC)
    assert len(text) == 20


@pytest.mark.parametrize(
    "text",
    [
        "2023-03-19T14:05:00", "2023-03-19T14:05:00+00:00", "2023-03-19 14:05:00Z", "2023-03-19T24:00:00Z",
        "2023-02-29T00:00:00Z", "2023-03-19T14:05:60Z", "2023-03-19T14:05:00.5Z", "۲۰۲۳-03-19T14:05:00Z", "", "Z\n",
        "2023-03-19T14:05:00Z\n",
    ],
)  # fmt: skip
def test_a_moment_in_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        moment(text)
    assert caught.value.code == "calendar.no_such_moment"


def test_seconds_outside_the_form_are_refused() -> None:
    for seconds in (-1, 253402300800, 10**400):
        with pytest.raises(Malformed):
            moment_text(seconds)
