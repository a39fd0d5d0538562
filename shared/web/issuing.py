"""Routes of the development issuer: ``POST /oauth/token`` (form) and ``/.well-known/jwks.json``."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qs, unquote_plus

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shared.security.issuer import Issuer, TokenRefusedError
from shared.web.requests import read_body
from shared.web.responses import json_response

FORM_LIMIT_BYTES = 8192
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": ["client_credentials"]},
                        "client_id": {"type": "string"},
                        "client_secret": {"type": "string", "format": "password"},
                        "scope": {"type": "string"},
                    },
                }
            }
        },
    }
}
_REFUSED = {
    "description": "RFC 6749 §5.2",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string", "examples": ["invalid_client"]}},
            }
        }
    },
}


def issuer_router(issuer: Issuer) -> APIRouter:
    """The two routes; mounted only without ``LIANGXIAN_ISSUER_URL``."""
    router = APIRouter(tags=["令牌 / tokens"])

    @router.post(
        "/oauth/token",
        summary="签发令牌（开发） / Issue a token (development)",
        openapi_extra=_FORM,
        responses={400: _REFUSED, 401: _REFUSED},
    )
    async def token(request: Request) -> Response:
        form = parse_qs((await read_body(request, FORM_LIMIT_BYTES)).decode("utf-8", "replace"))
        basic = _basic(request.headers.get("authorization", ""))
        client_id, secret = basic or (_one(form, "client_id"), _one(form, "client_secret"))
        try:
            if _one(form, "grant_type") != "client_credentials":
                raise TokenRefusedError("unsupported_grant_type")
            granted = issuer.grant(client_id, secret, _one(form, "scope"))
        except TokenRefusedError as refused:
            status = 401 if refused.error == "invalid_client" else 400
            headers = {"WWW-Authenticate": 'Basic realm="liangxian"'} if status == 401 else None
            return json_response({"error": refused.error}, status, headers)
        return json_response(granted, headers={"Cache-Control": "no-store"})

    @router.get("/.well-known/jwks.json", summary="验签公钥 / Verifying keys")
    async def jwks() -> Response:
        return json_response(issuer.jwks(), headers={"Cache-Control": "public, max-age=300"})

    return router


def _one(form: dict[str, list[str]], name: str) -> str:
    return form.get(name, [""])[0]


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote_plus(user), unquote_plus(password)
