"""Bearer tokens (architecture §6): verified once, cached until min(exp, 60 s), bounded, refused with a rule."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

from shared.kernel.clock import SeededRuntime
from shared.security.issuer import ISSUER, Client, Issuer, TokenRefusedError, load_clients
from shared.security.keyring import KeyFileError, Keyring
from shared.security.principal import Principal
from shared.security.tokens import AUDIENCE, InvalidTokenError, OwnKeys, RemoteKeys, TokenVerifier
from shared.testing.keys import memory_keyring

CLIENT = Client(
    "bank-1", "s3cret", "bank", ("collection:payments:write", "collection:payments:read"), ("370406",)
)


def issuer(runtime: SeededRuntime | None = None) -> Issuer:
    return Issuer.of(memory_keyring(), [CLIENT], runtime or SeededRuntime(1))


def verifier(made: Issuer, **options: Any) -> TokenVerifier:
    return TokenVerifier(OwnKeys(made.public_keys()), made.runtime, **options)


def signed(made: Issuer, **claims: Any) -> str:
    now = made.runtime.timestamp()
    whole = {
        "iss": ISSUER,
        "sub": "bank-1",
        "aud": AUDIENCE,
        "exp": now + 600,
        "organisation": "bank",
        "scope": "a b",
        "divisions": ["370406"],
    } | claims
    kept = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode({"alg": "Ed25519", "kid": "test"}, kept, made.key, algorithms=["Ed25519"])


def test_a_granted_token_names_its_principal() -> None:
    made = issuer()
    granted = made.grant("bank-1", "s3cret", "collection:payments:write")
    principal = verifier(made).verify(granted["access_token"])
    assert principal == Principal("bank", "bank-1", frozenset({"collection:payments:write"}), ("370406",))
    assert principal.allows("collection:payments:write")
    assert not principal.allows("collection:payments:read")
    assert principal.covers("370406101201")
    assert not principal.covers("370405101201")


def test_no_scope_asked_grants_all_the_client_has() -> None:
    assert issuer().grant("bank-1", "s3cret")["scope"] == "collection:payments:read collection:payments:write"


@pytest.mark.parametrize(
    ("client", "secret", "scope", "error"),
    [
        ("bank-1", "wrong", "", "invalid_client"),
        ("nobody", "s3cret", "", "invalid_client"),
        ("", "", "", "invalid_client"),
        ("bank-1", "s3cret", "collection:ops", "invalid_scope"),
    ],
)
def test_a_grant_is_refused(client: str, secret: str, scope: str, error: str) -> None:
    with pytest.raises(TokenRefusedError) as refused:
        issuer().grant(client, secret, scope)
    assert refused.value.error == error


@pytest.mark.parametrize(
    ("claims", "rule"),
    [
        ({"exp": 1}, "TOKEN_EXPIRED"),
        ({"exp": None}, "TOKEN_CLAIMS"),
        ({"exp": True}, "TOKEN_CLAIMS"),
        ({"nbf": 9e9}, "TOKEN_NOT_YET_VALID"),
        ({"aud": "other"}, "TOKEN_AUDIENCE"),
        ({"aud": None}, "TOKEN_AUDIENCE"),
        ({"iss": "urn:other"}, "TOKEN_ISSUER"),
        ({"organisation": None}, "TOKEN_CLAIMS"),
        ({"organisation": ""}, "TOKEN_CLAIMS"),
        ({"sub": None}, "TOKEN_CLAIMS"),
        ({"scope": ["a"]}, "TOKEN_CLAIMS"),
        ({"divisions": "370406"}, "TOKEN_CLAIMS"),
        ({"divisions": [370406]}, "TOKEN_CLAIMS"),
    ],
)
def test_a_token_with_wrong_claims_is_refused(claims: dict[str, Any], rule: str) -> None:
    made = issuer()
    with pytest.raises(InvalidTokenError) as refused:
        verifier(made, issuer=ISSUER).verify(signed(made, **claims))
    assert refused.value.rule == rule


def test_an_audience_list_may_name_us_among_others() -> None:
    made = issuer()
    assert verifier(made).verify(signed(made, aud=["other", AUDIENCE])).organisation == "bank"


@pytest.mark.parametrize("token", ["", "abc", "a.b", "a.b.c", "é.é.é", "x" * 9000, "\udcff.a.b"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidTokenError):
        verifier(issuer()).verify(token)


def test_a_foreign_signature_is_refused() -> None:
    made = issuer()
    other = OKPKey.generate_key("Ed25519", {"kid": "test"})
    forged = jwt.encode(
        {"alg": "Ed25519", "kid": "test"}, {"exp": 9e9, "aud": AUDIENCE}, other, algorithms=["Ed25519"]
    )
    with pytest.raises(InvalidTokenError) as refused:
        verifier(made).verify(forged)
    assert refused.value.rule == "TOKEN_SIGNATURE"


def test_an_unsigned_token_is_refused() -> None:
    """``alg: none`` and HMAC with the public key are the classic ways around a signature."""
    made = issuer()

    def part(document: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    claims = {"exp": 9e9, "aud": AUDIENCE, "organisation": "bank", "sub": "x"}
    for header in ({"alg": "none"}, {"alg": "HS256", "kid": "test"}):
        with pytest.raises(InvalidTokenError):
            verifier(made).verify(f"{part(header)}.{part(claims)}.")


async def test_a_token_is_verified_once_a_minute() -> None:
    """Cached until min(exp, 60 s): the signature is checked again after a minute, not before."""
    made = issuer()
    checked = verifier(made)
    token = signed(made)
    for _ in range(5):
        checked.verify(token)
    assert checked.verified == 1
    await made.runtime.sleep(59)
    checked.verify(token)
    assert checked.verified == 1
    await made.runtime.sleep(2)
    checked.verify(token)
    assert checked.verified == 2


async def test_a_cached_token_expires_when_it_says() -> None:
    made = issuer()
    checked = verifier(made)
    token = signed(made, exp=made.runtime.timestamp() + 10)
    checked.verify(token)
    await made.runtime.sleep(11)
    with pytest.raises(InvalidTokenError) as refused:
        checked.verify(token)
    assert refused.value.rule == "TOKEN_EXPIRED"


def test_the_cache_is_bounded() -> None:
    made = issuer()
    checked = verifier(made, cache_size=2)
    tokens = [signed(made, jti=str(number)) for number in range(3)]
    for token in tokens:
        checked.verify(token)
    checked.verify(tokens[2])
    assert checked.verified == 3
    checked.verify(tokens[0])
    assert checked.verified == 4


def remote(handler: Any) -> RemoteKeys:
    client = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    return RemoteKeys("https://issuer.example/", client, SeededRuntime(1))


async def test_keys_of_a_foreign_issuer_come_in_the_background() -> None:
    """No key yet is a 401 with KEYS_UNAVAILABLE; a request never fetches."""
    made, calls = issuer(), []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(str(request.url))
        if request.url.path.endswith("openid-configuration"):
            return httpx.Response(200, json={"jwks_uri": "https://issuer.example/keys"})
        return httpx.Response(200, json=made.jwks())

    keys = remote(answer)
    checked = TokenVerifier(keys, made.runtime)
    with pytest.raises(InvalidTokenError) as refused:
        checked.verify(signed(made))
    assert refused.value.rule == "KEYS_UNAVAILABLE"
    assert (checked.ready, calls) == (False, [])
    assert await keys.refresh()
    assert checked.ready
    assert checked.verify(signed(made)).client_id == "bank-1"
    assert calls == ["https://issuer.example/.well-known/openid-configuration", "https://issuer.example/keys"]


async def test_an_issuer_that_goes_away_leaves_the_last_keys() -> None:
    made = issuer()
    answers = iter([{"jwks_uri": "https://issuer.example/keys"}, made.jwks()])

    def answer(request: httpx.Request) -> httpx.Response:
        document = next(answers, None)
        return httpx.Response(200, json=document) if document else httpx.Response(503)

    keys = remote(answer)
    assert await keys.refresh()
    assert not await keys.refresh()
    assert isinstance(keys.keys(), KeySet)


def test_the_public_document_holds_no_private_part() -> None:
    (key,) = issuer().jwks()["keys"]
    assert "d" not in key
    assert (key["kid"], key["alg"]) == ("test", "Ed25519")


def test_a_key_file_without_an_issuer_cannot_issue() -> None:
    ring = memory_keyring()
    with pytest.raises(KeyFileError):
        Issuer.of(Keyring(ring.key_encryption, ring.blind_index, ring.pairs), [], SeededRuntime(1))


def test_clients_are_read_from_the_organisations_file(tmp_path: Path) -> None:
    path = tmp_path / "organisations.yaml"
    path.write_text(
        "clients:\n- {client_id: a, client_secret: b, organisation: o, scopes: [x], divisions: ['370406']}\n"
    )
    (client,) = load_clients(path)
    assert client == Client("a", "b", "o", ("x",), ("370406",))
    assert "client_secret" not in repr(client)


@pytest.mark.parametrize(
    "text",
    [
        "clients: 1",
        "clients:\n- {client_id: a, client_secret: topsecret, organisation: o}\n",
        "clients:\n"
        + 2 * "- {client_id: a, client_secret: topsecret, organisation: o, scopes: [], divisions: []}\n",
        ":",
    ],
)
def test_a_wrong_organisations_file_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "organisations.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="organisations file") as fault:
        load_clients(path)
    assert "topsecret" not in str(fault.value)
