"""`register export`, `register minutes`, `register feed`: the register in files, minutes on paper, calendars."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mithaq.cli import files
from mithaq.cli.home import home_of
from mithaq.cli.officials import connected
from mithaq.cli.output import Output
from mithaq.cli.reading import reading
from mithaq.kernel import calendars
from mithaq.kernel.errors import Refused


def export(arguments: argparse.Namespace, output: Output) -> int:
    """The register as it stands today."""
    from mithaq.register.export import export_all

    with reading(arguments) as reader:
        reader.judge()  # refuses records of another version
        target = Path(arguments.out)
        names = export_all(reader.connection, reader.party, calendars.today(), target, arguments.form, lang=output.lang)
    return _written(output, arguments.out, files=names)


def minutes(arguments: argparse.Namespace, output: Output) -> int:
    """One text of minutes, printable."""
    from mithaq.register.printing import languages_of, minutes_html, minutes_pdf
    from mithaq.services.meetings import records

    with reading(arguments) as reader:
        reader.judge()
        found = records.minutes(reader.connection, arguments.reference)
    if found is None:
        raise Refused("register.no_minutes", reference=arguments.reference)
    as_pdf = arguments.form == "pdf"
    data = minutes_pdf(found, languages_of(found, output.lang)) if as_pdf else minutes_html(found, output.lang).encode()
    with files.new(arguments.out) as file:
        file.write(data)
    return _written(output, arguments.out)


def feed(arguments: argparse.Namespace, output: Output) -> int:
    """A new secret address for an official, shown this once, or the end of the one there is."""
    from mithaq.register import feeds

    home = home_of(arguments)
    address = home.settings().address
    secret = ""
    with connected(home, writes=True) as connection:
        if arguments.doing == "close":
            feeds.close_feed(connection, arguments.id)
        else:
            secret = feeds.open_feed(connection, arguments.id, output.lang)
    if not secret:
        output.line("The feed is closed.")
        output.result({"id": arguments.id, "closed": True})
        return 0
    url = f"{address.rstrip('/')}/feed/{secret}.ics"
    output.line("The address of the feed, shown this once; whoever has it reads the titles:")
    output.text(output.code(url))
    output.result({"id": arguments.id, "url": url})
    return 0


def _written(output: Output, path: str, **more: Any) -> int:
    output.line("Written: {path}", path=path)
    output.result({"written": path, **more})
    return 0
