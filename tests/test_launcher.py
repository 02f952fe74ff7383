"""The launcher, the locks and the page of dependencies keep what they promise to a newcomer and to an auditor."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAUNCHER = ROOT / "mithaq"
LISTS = ("requirements", "requirements-test", "bench-peers")
ARABIC_LETTERS = re.compile(r"[\u0600-\u06ff]")
ONLY_PERSIAN = re.compile(r"[پچژگکی]")
ONLY_ARABIC = re.compile(r"[ةىيك]")

# Each stands in for /usr/bin/python3 of some machine: it answers what that machine's Python would.
OLD_PYTHON = '#!/bin/sh\ncase "$2" in *version_info*) exit 1 ;; esac\nexit 0\n'
NO_ENSUREPIP = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\nexit 0\n'


def executable(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


def names_wanted(listing: str) -> list[str]:
    lines = (ROOT / f"{listing}.in").read_text(encoding="utf-8").splitlines()
    found = (re.match(r"[a-z0-9][a-z0-9-]*", line) for line in lines)
    return [name[0] for name in found if name]


def versions_wanted(listing: str) -> dict[str, str]:
    lines = (ROOT / f"{listing}.in").read_text(encoding="utf-8").splitlines()
    found = (re.match(r"([a-z0-9][a-z0-9-]*)(.*)", line) for line in lines)
    return {name[1]: name[2].strip() for name in found if name}


def locked(listing: str) -> dict[str, str]:
    """Each package of a lock with the lines of its hashes."""
    text = (ROOT / f"{listing}.lock").read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    return {block.split("==")[0]: block for block in blocks if block.strip()}


def sentences() -> list[list[str]]:
    """Every message of the launcher, as its three sentences stand beside one another."""
    text = LAUNCHER.read_text(encoding="utf-8").replace("\\\n", " ")
    sentence = r'"((?:[^"\\$]|\\.|\$\([^)]*\)|\$)*)"'
    return [list(found) for found in re.findall(rf"\b(?:say|stop) +{sentence} +{sentence} +{sentence}", text)]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout with nothing installed: the launcher, its locks and a program that says that it was started."""
    place = tmp_path / "a place with spaces"
    place.mkdir()
    shutil.copy2(LAUNCHER, place / "mithaq")
    for listing in LISTS:
        (place / f"{listing}.lock").write_text("", encoding="utf-8")
    package = place / "src" / "mithaq"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("import sys\nprint('started', *sys.argv[1:])\nsys.exit(7)\n", encoding="utf-8")
    return place


def start(
    place: Path, *arguments: str, python: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the launcher of a copy with only the system's own programs on PATH, and a stand-in for Python if one is given."""
    programs = place.parent / "programs"
    programs.mkdir(exist_ok=True)
    if python is not None:
        executable(programs / "python3", python)
    elif not (programs / "python3").exists():
        executable(programs / "python3", f'#!/bin/sh\nexec "{Path(sys.executable).resolve()}" "$@"\n')
    return subprocess.run(
        [str(place / "mithaq"), *arguments],
        env={"PATH": f"{programs}:/usr/bin:/bin", "LC_ALL": "C", "HOME": str(place.parent), **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def only_line(run: subprocess.CompletedProcess[str]) -> str:
    """The one line that was said: nothing else on either stream, and exit 1."""
    said = run.stderr.splitlines()
    progress = [line for line in said if "First start" in line or "التشغيل الأول" in line or "نخستین" in line]
    rest = [line for line in said if line not in progress]
    assert (run.returncode, run.stdout, len(rest)) == (1, "", 1), run.stderr
    return rest[0]


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_the_launcher_is_plain_shell(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    assert subprocess.run([shell, "-n", str(LAUNCHER)], capture_output=True, check=False).stderr == b""
    assert os.access(LAUNCHER, os.X_OK)


@pytest.mark.parametrize("listing", LISTS)
def test_no_lock_names_the_address_of_a_registry(listing: str) -> None:
    text = (ROOT / f"{listing}.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize("listing", LISTS)
def test_everything_that_is_wanted_is_locked_and_everything_locked_has_its_hash(listing: str) -> None:
    lock = locked(listing)
    assert set(names_wanted(listing)) <= set(lock)
    assert [name for name, block in lock.items() if "--hash=sha256:" not in block] == []


def test_the_test_lock_agrees_with_the_runtime_lock_on_what_both_name() -> None:
    runtime, test = locked("requirements"), locked("requirements-test")
    both = runtime.keys() & test.keys()
    assert both
    assert {name: test[name] for name in both} == {name: runtime[name] for name in both}


@pytest.mark.parametrize("listing", LISTS)
def test_every_dependency_has_its_row_with_version_licence_field_reason_and_replacement(listing: str) -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    table = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")
    ]
    rows = {cells[0]: cells for cells in table}
    wanted = versions_wanted(listing)
    assert {name: rows[name][1] for name in wanted if name in rows} == wanted
    assert [name for name in wanted if len(rows[name]) != 6 or not all(rows[name])] == []


def test_every_message_of_the_launcher_stands_in_three_languages() -> None:
    text = LAUNCHER.read_text(encoding="utf-8")
    calls = re.findall(r"^(?!say\(\)|stop\(\)|    say \"\$@\"|#).*\b(?:say|stop) +[\"\\]", text, flags=re.MULTILINE)
    said = sentences()
    assert len(said) == len(calls)
    for english, arabic, persian in said:
        assert not ARABIC_LETTERS.search(english), english
        assert ARABIC_LETTERS.search(arabic), arabic
        assert not ONLY_PERSIAN.search(arabic), arabic
        assert ARABIC_LETTERS.search(persian), persian
        assert not ONLY_ARABIC.search(persian), persian
        assert len({english, arabic, persian}) == 3


@pytest.mark.parametrize(
    "locale, words", [("C", "3.11 or later"), ("ar_IQ.UTF-8", "يلزم بايثون"), ("fa_IR.UTF-8", "لازم است"), ("", "3.11")]
)
def test_an_older_python_is_named_in_one_line_in_the_language_of_the_locale(
    copy: Path, locale: str, words: str
) -> None:
    run = start(copy, "demo", python=OLD_PYTHON, LC_ALL=locale)
    assert words in only_line(run)
    assert not (copy / ".venv").exists()


@pytest.mark.parametrize("locale", ["C", "ar_IQ.UTF-8", "fa_IR.UTF-8"])
def test_a_debian_without_the_venv_module_is_told_what_to_install(copy: Path, locale: str) -> None:
    assert "apt install python3-venv" in only_line(start(copy, python=NO_ENSUREPIP, LC_ALL=locale))
    assert not (copy / ".venv" / "installed.lock").exists()
    assert not (copy / ".venv.lock").exists()


def test_a_machine_without_python_is_told_what_to_install(copy: Path) -> None:
    assert "apt install python3" in only_line(start(copy, MITHAQ_PYTHON="no-such-python"))


def test_a_copy_without_its_lock_is_called_incomplete(copy: Path) -> None:
    (copy / "requirements.lock").unlink()
    assert "requirements.lock is missing" in only_line(start(copy))


def test_a_folder_that_cannot_be_written_is_named_in_one_line(copy: Path) -> None:
    # Root may write everywhere, so there the launcher is started as nobody, in a place that nobody can reach.
    nobody = 65534 if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "checkout"
        shutil.copytree(copy, place)
        python = executable(Path(folder) / "python3", "#!/bin/sh\nexit 0\n")
        Path(folder).chmod(0o755)
        place.chmod(0o555)
        try:
            run = subprocess.run(
                [str(place / "mithaq"), "demo"],
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "MITHAQ_PYTHON": str(python)},
                user=nobody,
                group=nobody,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            place.chmod(0o755)
    assert f"cannot write in {place}" in only_line(run)


def test_a_first_start_installs_says_so_and_runs_the_command_with_its_exit_code(copy: Path) -> None:
    first = start(copy, "verify", "a file")
    assert (first.returncode, first.stdout) == (7, "started verify a file\n"), first.stderr
    assert first.stderr.startswith("mithaq: First start: installing")
    second = start(copy, "verify", "a file")
    assert (second.returncode, second.stdout, second.stderr) == (7, "started verify a file\n", "")


def test_a_half_made_environment_and_a_guard_left_behind_are_repaired(copy: Path) -> None:
    (copy / ".venv" / "bin").mkdir(parents=True)
    (copy / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")
    (copy / ".venv.lock").mkdir()
    (copy / ".venv.lock" / "pid").write_text("999999999\n", encoding="utf-8")
    assert start(copy).returncode == 7
    assert sorted(path.name for path in copy.glob(".venv*")) == [".venv"]


def test_without_a_network_the_packages_come_from_a_folder_of_wheels_or_one_line_says_how(copy: Path) -> None:
    (copy / "requirements.lock").write_text("no-such-thing==1 --hash=sha256:" + "0" * 64 + "\n", encoding="utf-8")
    (copy / "wheels").mkdir()
    run = start(copy, MITHAQ_WHEELS=str(copy / "wheels"))
    assert "MITHAQ_WHEELS" in only_line(run)
    assert "no-such-thing" in (copy / ".venv" / "install.log").read_text(encoding="utf-8")
    assert not (copy / ".venv" / "installed.lock").exists()


def test_two_first_starts_at_once_install_once(copy: Path) -> None:
    start(copy, python=None, MITHAQ_PYTHON="no-such-python")  # makes the stand-in
    environment = {"PATH": f"{copy.parent / 'programs'}:/usr/bin:/bin", "LC_ALL": "C"}
    both = [
        subprocess.Popen(
            [str(copy / "mithaq")], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [7, 7], said
    assert sum("First start" in errors for _, errors in said) == 1


@pytest.mark.parametrize(
    "arguments", [["--help"], ["exchange", "--help"], ["-h", "exchange"], [], ["--seconds", "5"], ["--json"]]
)
def test_a_bench_that_only_asks_for_help_installs_no_peers(copy: Path, arguments: list[str]) -> None:
    run = start(copy, "bench", *arguments)
    assert (run.returncode, run.stdout) == (7, " ".join(["started bench", *arguments]) + "\n"), run.stderr
    assert not (copy / ".venv-bench").exists()


@pytest.mark.parametrize("arguments", [["exchange"], ["--seconds", "5", "exchange", "--json"]])
def test_a_bench_that_is_named_installs_its_peers(copy: Path, arguments: list[str]) -> None:
    assert start(copy, "bench", *arguments).returncode == 7
    assert (copy / ".venv-bench" / "installed.lock").exists()
