from __future__ import annotations

import base64

import pytest

from app.vault import Vault, VaultError, generate_key

OLD, NEW = generate_key(), generate_key()
HERE = "credentials/1/secrets"


def test_what_is_sealed_opens_again_and_never_looks_the_same() -> None:
    vault = Vault.from_keys(NEW)
    sealed = {vault.seal(b"top secret", context=HERE) for _ in range(3)}
    assert len(sealed) == 3
    assert {vault.open(text, context=HERE) for text in sealed} == {b"top secret"}
    assert Vault.from_keys(NEW).open(vault.seal(b"", context=HERE), context=HERE) == b""


def test_keys_rotate() -> None:
    sealed = Vault.from_keys(OLD).seal(b"x", context=HERE)
    both = Vault.from_keys(f"{NEW}, {OLD}")
    assert both.open(sealed, context=HERE) == b"x"
    assert both.needs_reseal(sealed)
    assert not both.needs_reseal(both.seal(b"x", context=HERE))
    with pytest.raises(VaultError, match="SEATWISE_ENCRYPTION_KEYS"):
        Vault.from_keys(NEW).open(sealed, context=HERE)


def test_a_sealed_text_opens_only_where_it_belongs() -> None:
    vault = Vault.from_keys(NEW)
    sealed = vault.seal(b"x", context=HERE)
    with pytest.raises(VaultError):
        vault.open(sealed, context="credentials/2/secrets")


def test_damage_is_noticed() -> None:
    vault = Vault.from_keys(NEW)
    sealed = vault.seal(b"some words", context=HERE)
    swapped = sealed[:-8] + ("A" if sealed[-8] != "A" else "B") + sealed[-7:]
    for bad in (swapped, sealed[:-8], sealed[3:], "", "v1..", "v1.zzzzzzzz.AAAA", f"v2{sealed[2:]}", sealed + "é"):
        with pytest.raises(VaultError) as failed:
            vault.open(bad, context=HERE)
        assert "some words" not in str(failed.value)


@pytest.mark.parametrize(
    "text",
    ["", ",", "short", f"{NEW},", "+" * 44, base64.urlsafe_b64encode(b"x" * 31).decode(), f"{NEW} {OLD}", "A" * 45],
    ids=["empty", "comma", "short", "half", "no-base64url", "31-bytes", "no-comma", "45-characters"],
)
def test_wrong_keys_are_named_by_their_variable_and_never_shown(text: str) -> None:
    with pytest.raises(ValueError, match="SEATWISE_ENCRYPTION_KEYS") as failed:
        Vault.from_keys(text)
    assert not text.strip(",") or text not in str(failed.value)
    assert failed.value.__context__ is None or failed.value.__suppress_context__


def test_keys_may_come_without_padding() -> None:
    assert Vault.from_keys(NEW.rstrip("=")).open(Vault.from_keys(NEW).seal(b"x", context=HERE), context=HERE) == b"x"


def test_nothing_is_shown() -> None:
    assert repr(Vault.from_keys(NEW)) == "<Vault>"
    assert len(base64.urlsafe_b64decode(generate_key())) == 32
