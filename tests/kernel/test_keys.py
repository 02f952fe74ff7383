"""A node's keys: kept under a passphrase, shown in a pairing file, and the digits that both officers read aloud."""

from __future__ import annotations

import base64
import io
import json
import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from mithaq.kernel import age, keys, note
from mithaq.kernel.errors import Malformed, MithaqError, Refused, Unreachable

WORDS = "سرو و نخل ۷۳"
NAMES = {"ar": "الطرف ألف", "en": "Party A", "fa": "طرف الف می‌نویسد"}


def made(party: str = "AA", commission: str = "aa-bb.example") -> keys.NodeKeys:
    return keys.create(
        party, commission, [f"{party}/border/north", f"{party}/police"], ["node.example", "127.0.0.1", "::1"]
    )


@pytest.fixture(scope="module")
def node() -> keys.NodeKeys:
    return made()


@pytest.fixture(scope="module")
def pairing(node: keys.NodeKeys) -> keys.PairingFile:
    return node.pairing(NAMES, "https://node.example:8443/mithaq")


@pytest.fixture(scope="module")
def other() -> keys.PairingFile:
    return made("BB").pairing(NAMES, "http://127.0.0.1:8000")


def test_keys_come_back_from_their_file_as_they_were(node: keys.NodeKeys, tmp_path: Path) -> None:
    path = tmp_path / "keys.age"
    node.save(path, WORDS, work=10)
    assert keys.load(path, WORDS) == node
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.age"]


def test_the_default_work_factor_is_two_to_the_seventeenth(node: keys.NodeKeys, tmp_path: Path) -> None:
    node.save(tmp_path / "keys.age", WORDS)
    header = age.read_header(io.BytesIO((tmp_path / "keys.age").read_bytes()))
    assert header.stanzas[0].arguments[2] == "17"
    assert keys.load(tmp_path / "keys.age", WORDS) == node


def test_a_wrong_passphrase_is_said_to_be_one(node: keys.NodeKeys, tmp_path: Path) -> None:
    node.save(tmp_path / "keys.age", WORDS, work=10)
    with pytest.raises(Refused, match=r"keys\.wrong_passphrase"):
        keys.load(tmp_path / "keys.age", WORDS + "x")


def test_the_same_words_composed_in_another_way_are_the_same_passphrase(node: keys.NodeKeys, tmp_path: Path) -> None:
    node.save(tmp_path / "keys.age", "\u0622\u0628", work=10)
    assert keys.load(tmp_path / "keys.age", "\u0627\u0653\u0628") == node


def test_a_damaged_key_file_is_refused_wherever_the_damage_is(node: keys.NodeKeys, tmp_path: Path) -> None:
    path = tmp_path / "keys.age"
    node.save(path, WORDS, work=10)
    whole = path.read_bytes()
    for at in [*range(0, 160, 3), *range(160, len(whole), 211), len(whole) - 1]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(MithaqError) as caught:
            keys.load(path, WORDS)
        assert caught.value.code in {"keys.damaged", "keys.wrong_passphrase", "age.work_factor"}
    for cut in (0, 1, 40, 170, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(Malformed, match=r"keys\.damaged"):
            keys.load(path, WORDS)


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored.pop("party"),
        lambda stored: stored.update(party="aa"),
        lambda stored: stored.update(more=1),
        lambda stored: stored.update(format="mithaq-keys/2"),
        lambda stored: stored.update(log_ed25519=base64.b64encode(bytes(31)).decode()),
        lambda stored: stored.update(mirror_ed25519=stored["log_ed25519"]),
        lambda stored: stored.update(tls_key="-----BEGIN PRIVATE KEY-----\n"),
        lambda stored: stored.update(tls_certificate="س"),
        lambda stored: stored.update(tls_key=made().tls_key),
        lambda stored: stored.update(offices={"AA/police": "AGE-SECRET-KEY-PQ-1QQ"}),
        lambda stored: stored.update(offices={"BB/police": age.Identity.generate().to_text()}),
    ],
    ids=[
        "no party",
        "another party's form",
        "an unknown field",
        "another version",
        "a short seed",
        "one seed twice",
        "no TLS key",
        "no certificate",
        "another TLS key",
        "no identity",
        "an office of another party",
    ],
)
def test_a_key_file_with_other_contents_is_damaged(
    node: keys.NodeKeys, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    path = tmp_path / "keys.age"
    node.save(path, WORDS, work=10)
    plain = io.BytesIO()
    age.decrypt(io.BytesIO(path.read_bytes()), plain, [age.Passphrase(WORDS)])
    stored = json.loads(plain.getvalue())
    change(stored)
    with path.open("wb") as sink:
        age.encrypt(io.BytesIO(json.dumps(stored).encode()), sink, [age.Passphrase(WORDS, 10)])
    with pytest.raises(Malformed, match=r"keys\.damaged"):
        keys.load(path, WORDS)


def test_keys_are_not_written_over_unless_it_is_asked_for(node: keys.NodeKeys, tmp_path: Path) -> None:
    path = tmp_path / "keys.age"
    node.save(path, WORDS, work=10)
    before = path.read_bytes()
    with pytest.raises(Refused, match=r"keys\.exists"):
        made().save(path, WORDS, work=10)
    assert path.read_bytes() == before
    node.save(path, "another", work=10, replace=True)
    assert keys.load(path, "another") == node


def test_a_folder_that_is_not_there_is_one_clear_error(node: keys.NodeKeys, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"keys\.unwritable"):
        node.save(tmp_path / "none" / "keys.age", WORDS, work=10)
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(Unreachable, match=r"keys\.unreadable"):
            keys.load(path, WORDS)


@pytest.mark.parametrize("words, code", [("", "keys.empty_passphrase"), ("\udcff", "keys.passphrase")])
def test_a_passphrase_must_be_words(node: keys.NodeKeys, tmp_path: Path, words: str, code: str) -> None:
    with pytest.raises(MithaqError) as caught:
        node.save(tmp_path / "keys.age", words, work=10)
    assert caught.value.code == code
    assert not list(tmp_path.iterdir())


def test_a_weak_work_factor_is_refused_when_writing(node: keys.NodeKeys, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"keys\.work_too_low"):
        node.save(tmp_path / "keys.age", WORDS, work=9)


def test_every_key_of_a_node_is_another_and_none_shows_in_its_representation(node: keys.NodeKeys) -> None:
    seeds = [node.log_ed25519, node.log_mldsa44, node.mirror_ed25519, node.mirror_mldsa44, node.request_ed25519]
    seeds += [identity.seed for identity in node.offices.values()]
    assert len(set(seeds)) == 7
    assert repr(node) == "NodeKeys(party='AA', commission='aa-bb.example')"


def test_checkpoints_and_receipts_are_signed_under_their_own_names_and_kinds(node: keys.NodeKeys) -> None:
    assert [(key.name, key.kind) for key in node.log_verifiers()] == [("aa-bb.example/AA", 1), ("aa-bb.example/AA", 6)]
    mirror = "aa-bb.example/AA/mirror"
    assert [(key.name, key.kind) for key in node.mirror_verifiers()] == [(mirror, 4), (mirror, 6)]
    checkpoint = note.Checkpoint(node.origin, 1, bytes(32))
    signed = note.sign(checkpoint, node.log_signers(), 1_700_000_000)
    assert note.open_checkpoint(signed, node.log_verifiers(), node.origin).checkpoint == checkpoint
    lines = note.cosign(checkpoint, node.mirror_signers(), 1_700_000_000)
    assert note.check_cosignature(checkpoint, lines, node.mirror_verifiers()) == 1_700_000_000


@pytest.mark.parametrize("host", ["node.example", "127.0.0.1"])
def test_a_peer_that_pins_the_certificate_completes_tls_1_3_with_it(
    node: keys.NodeKeys, tmp_path: Path, host: str
) -> None:
    pem = tmp_path / "node.pem"
    pem.write_text(node.tls_key + node.tls_certificate)
    server_side, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server_side.load_cert_chain(pem)
    client_side.load_verify_locations(cadata=node.tls_certificate)
    client_side.minimum_version = ssl.TLSVersion.TLSv1_3
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(down, up, server_hostname=host)
    server = server_side.wrap_bio(up, down, server_side=True)
    ends = [client, server]
    for _ in range(10):
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert not ends
    der = client.getpeercert(binary_form=True)
    assert der is not None
    assert x509.load_der_x509_certificate(der).fingerprint(
        x509.load_der_x509_certificate(der).signature_hash_algorithm
    ).hex() == (node.tls_certificate_sha256)


def test_a_certificate_holds_for_ten_years_from_a_day_before() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    made_then = keys.create("AA", "aa-bb.example", [], ["localhost"], at)
    certificate = x509.load_pem_x509_certificate(made_then.tls_certificate.encode())
    assert certificate.not_valid_before_utc == at - timedelta(days=1)
    assert certificate.not_valid_after_utc >= at.replace(year=2036)


@pytest.mark.parametrize(
    "host", ["", "بغداد.example", "a b", "-a.example", "a..b", "x" * 300, "https://a.example", "A.example"]
)
def test_a_host_that_is_no_name_or_address_is_refused(host: str) -> None:
    with pytest.raises(Malformed, match=r"keys\.host"):
        keys.create("AA", "aa-bb.example", [], [host])


@pytest.mark.parametrize(
    "party, commission, office",
    [
        ("aa", "aa-bb.example", "AA/police"),
        ("AA\n", "aa-bb.example", "AA/police"),
        ("AA", "AA-BB.example", "AA/police"),
        ("AA", "aa bb", "AA/police"),
        ("AA", "aa+bb", "AA/police"),
        ("AA", "aa-bb.example", "BB/police"),
        ("AA", "aa-bb.example", "AA"),
        ("AA", "aa-bb.example", "AA/Police"),
        ("AA", "aa-bb.example", "AA/a/b/c/d/e/f"),
        ("AA", "aa-bb.example", "AA/../x"),
        ("AA", "aa-bb.example", "AAA/police"),
    ],
)
def test_names_of_parties_commissions_and_offices_have_one_form(party: str, commission: str, office: str) -> None:
    with pytest.raises(Malformed, match=r"pairing\.field"):
        keys.create(party, commission, [office], ["localhost"])


def test_a_pairing_file_is_read_back_as_it_was_written(pairing: keys.PairingFile, node: keys.NodeKeys) -> None:
    data = pairing.encode()
    assert keys.parse(data) == pairing
    assert data.endswith(b"}\n")
    assert json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == data[:-1]
    assert pairing.log_verifiers() == node.log_verifiers()
    assert pairing.mirror_verifiers() == node.mirror_verifiers()
    assert pairing.recipients() == {path: identity.recipient for path, identity in node.offices.items()}
    assert pairing.request_public() == node.request_key.public_key().public_bytes_raw()


def without_secrets(data: bytes, node: keys.NodeKeys) -> bool:
    secrets = [node.log_ed25519, node.mirror_ed25519, node.request_ed25519, node.log_mldsa44, node.mirror_mldsa44]
    return not any(base64.b64encode(secret)[:-2] in data for secret in secrets) and b"SECRET" not in data


def test_a_pairing_file_holds_no_secret(pairing: keys.PairingFile, node: keys.NodeKeys) -> None:
    assert without_secrets(pairing.encode(), node)


WRONG: list[tuple[str, Callable[[dict[str, Any], dict[str, Any]], object]]] = [
    ("pairing.not_readable", lambda own, _: own.update(format="mithaq-pairing/2")),
    ("pairing.not_readable", lambda own, _: own.update(more="x")),
    ("pairing.not_readable", lambda own, _: own.pop("address")),
    ("pairing.field", lambda own, _: own.update(commission="Other")),
    ("pairing.field", lambda own, _: own.update(commission="other.example")),
    ("pairing.field", lambda own, other: own.update(party=other["party"])),
    ("pairing.field", lambda own, _: own["names"].pop("fa")),
    ("pairing.field", lambda own, _: own["names"].update(de="Partei")),
    ("pairing.field", lambda own, _: own["names"].update(en="")),
    ("pairing.field", lambda own, _: own["names"].update(en="A\u202eB")),
    ("pairing.field", lambda own, _: own["names"].update(en="A\nB")),
    ("pairing.field", lambda own, _: own["names"].update(en="A\u200bB")),
    ("pairing.field", lambda own, _: own["names"].update(ar="\u0627\u0653")),
    ("pairing.field", lambda own, _: own.update(address="http://node.example")),
    ("pairing.field", lambda own, _: own.update(address="http://127.0.0.1@node.example")),
    ("pairing.field", lambda own, _: own.update(address="https://node.example/?a")),
    ("pairing.field", lambda own, _: own.update(address="https://node.example/#a")),
    ("pairing.field", lambda own, _: own.update(address="https://node.example:99999")),
    ("pairing.field", lambda own, _: own.update(address="https://[::1")),
    ("pairing.field", lambda own, _: own.update(address="file:///etc/passwd")),
    ("pairing.field", lambda own, _: own["log_keys"].reverse()),
    ("pairing.field", lambda own, _: own["log_keys"].pop()),
    ("pairing.field", lambda own, _: own["log_keys"].append(own["log_keys"][0])),
    ("pairing.field", lambda own, other: own.update(log_keys=other["log_keys"])),
    ("pairing.field", lambda own, _: own.update(mirror_keys=own["log_keys"])),
    ("pairing.field", lambda own, _: own["mirror_keys"].__setitem__(0, own["mirror_keys"][0][:-2])),
    ("pairing.field", lambda own, _: own.update(request_key=own["request_key"][:-1])),
    ("pairing.field", lambda own, _: own.update(request_key=base64.b64encode(bytes(33)).decode())),
    ("pairing.weak_key", lambda own, _: own.update(request_key=base64.b64encode(bytes(32)).decode())),
    ("pairing.weak_key", lambda own, _: own.update(request_key=base64.b64encode(b"\xff" * 32).decode())),
    ("pairing.field", lambda own, _: own.update(tls_certificate_sha256="A" * 64)),
    ("pairing.field", lambda own, _: own["offices"].update({"AA/police": "age1pq1qqqqqq"})),
    (
        "pairing.field",
        lambda own, _: own["offices"].update({"AA/x": age.X25519Identity.generate().recipient.to_text()}),
    ),
    ("pairing.field", lambda own, other: own["offices"].update(other["offices"])),
]


@pytest.mark.parametrize("code, change", WRONG, ids=[f"{code}-{at}" for at, (code, _) in enumerate(WRONG)])
def test_a_pairing_file_with_one_wrong_field_is_refused(
    pairing: keys.PairingFile, other: keys.PairingFile, code: str, change: Callable[..., object]
) -> None:
    own = json.loads(pairing.encode())
    change(own, json.loads(other.encode()))
    with pytest.raises(Malformed) as caught:
        keys.parse(msgspec.json.encode(own, order="sorted") + b"\n")
    assert caught.value.code == code


def test_one_key_for_two_kinds_of_statement_is_refused(pairing: keys.PairingFile, node: keys.NodeKeys) -> None:
    reused = base64.b64encode(node.log_verifiers()[0].public).decode()
    with pytest.raises(Malformed, match=r"pairing\.key_reused"):
        keys.parse(msgspec.structs.replace(pairing, request_key=reused).encode())


def test_a_pairing_file_written_in_another_way_or_too_large_is_refused(pairing: keys.PairingFile) -> None:
    data = pairing.encode()
    for other_form in (data[:-1], data + b"\n", b" " + data, data.replace(b'":"', b'": "', 1)):
        with pytest.raises(Malformed, match=r"pairing\.not_canonical"):
            keys.parse(other_form)
    with pytest.raises(Malformed, match=r"pairing\.too_large"):
        keys.parse(data + b" " * 256 * 1024)


@settings(deadline=None)
@given(st.binary(max_size=400) | st.sampled_from([b"[" * 100_000, b'{"format":' * 20_000, b'{"a":"\\ud800"}', b"\xff"]))
def test_no_bytes_whatever_raise_anything_but_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        keys.parse(data)


def test_both_officers_read_the_same_twelve_groups_of_five_digits(
    pairing: keys.PairingFile, other: keys.PairingFile
) -> None:
    digits = keys.fingerprint(pairing, other)
    assert digits == keys.fingerprint(other, pairing)
    assert [len(group) for group in digits.split(" ")] == [5] * 12
    assert digits.replace(" ", "").isdecimal()


def test_the_fingerprint_changes_with_any_field_of_either_file(
    pairing: keys.PairingFile, other: keys.PairingFile
) -> None:
    moved = msgspec.structs.replace(pairing, address="https://other.example")
    renamed = msgspec.structs.replace(other, tls_certificate_sha256="0" * 64)
    assert len({keys.fingerprint(*pair) for pair in [(pairing, other), (moved, other), (pairing, renamed)]}) == 3


def test_files_that_do_not_belong_together_have_no_fingerprint(
    pairing: keys.PairingFile, other: keys.PairingFile
) -> None:
    foreign = made("BB", "bb-cc.example").pairing(NAMES, "https://b.example")
    echo = msgspec.structs.replace(other, request_key=pairing.request_key)
    for pair, code in (
        ((pairing, pairing), "pairing.same_party"),
        ((pairing,), "pairing.same_party"),
        ((), "pairing.other_commission"),
        ((pairing, foreign), "pairing.other_commission"),
        ((pairing, echo), "pairing.shared_key"),
    ):
        with pytest.raises(Refused) as caught:
            keys.fingerprint(*pair)
        assert caught.value.code == code


def test_three_parties_read_one_fingerprint(pairing: keys.PairingFile, other: keys.PairingFile) -> None:
    third = made("CC").pairing(NAMES, "https://c.example")
    assert keys.fingerprint(pairing, other, third) == keys.fingerprint(third, pairing, other)
