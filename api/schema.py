"""What the OpenAPI description says of every view: its problems, its scope, how to sign in."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from api.errors import PROBLEM

# What each method may answer besides success. 400: parameters; 422: fields of a body.
ALWAYS = {
    400: "Malformed",
    401: "Not signed in",
    403: "Not allowed",
    429: "Too often",
    503: "Something is away",
}
WITH_BODY = {413: "Too large", 415: "Not JSON", 422: "Fields are not as they should be"}


class ProblemSerializer(serializers.Serializer[Any]):
    """What went wrong (RFC 9457)."""

    type = serializers.CharField(help_text="`about:blank`: the status says it all.")
    title = serializers.CharField(help_text="The status in words.")
    status = serializers.IntegerField()
    detail = serializers.CharField(required=False, help_text="What is wrong here.")
    errors = serializers.DictField(  # type: ignore[assignment]  # a field, which its class collects
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="What is wrong with each field; `request` where it is none of them.",
    )


class Schema(AutoSchema):
    """Adds the errors that every view of ours may answer."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        """The operation, with its problems and the scope it asks for."""
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return operation
        content = {PROBLEM: {"schema": self.resolve_serializer(ProblemSerializer, "response").ref}}
        described = dict(ALWAYS)
        if "requestBody" in operation:
            described |= WITH_BODY
        elif any(parameter["in"] == "query" for parameter in operation.get("parameters", ())):
            described[422] = "Parameters that do not fit together"
        if self.method == "POST" and "Idempotency" in str(operation.get("parameters")):
            described[409] = "What the first such request has made is deleted"
        if self.view.can_be_missing:  # type: ignore[attr-defined]
            described[404] = "Not there"
        for code, description in described.items():
            operation["responses"].setdefault(str(code), {"description": description, "content": content})
        for patient in ("429", "503"):
            operation["responses"][patient]["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
            }
        scope = self.view.scopes[self.method]  # type: ignore[attr-defined]
        note = f"Scope: `{scope}`." if scope else "Any token."
        operation["description"] = f"{operation.get('description', '')}\n\n{note}".strip()
        return operation


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How a token is sent."""

    target_class = "api.access.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """HTTP's bearer scheme."""
        return {"type": "http", "scheme": "bearer", "description": "`manage.py create_api_token NAME`"}
