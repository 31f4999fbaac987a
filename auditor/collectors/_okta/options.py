"""What an Okta source may be told."""

from typing import Self

from pydantic import Field, model_validator

from auditor.client.settings import BaseUrl, ConnectionOptions
from auditor.collectors.interface import SourceOptions


class OktaOptions(ConnectionOptions, SourceOptions):
    """The keys of an Okta source."""

    base_url: BaseUrl
    """The organization's address, such as ``https://acme.okta.com``, or its custom domain."""
    token: str | None = Field(default=None, repr=False)
    """An API token; or log in as a service app with the next two."""
    client_id: str | None = None
    private_key: str | None = Field(default=None, repr=False)
    """The service app's RSA private key in PEM, such as ``${file:okta.pem}``."""
    key_id: str | None = None
    """The ``kid`` of its public key at Okta, where the app has several."""
    concurrency: int = Field(default=6, ge=1, le=128)
    """Requests in flight at most; Okta limits the whole organization together."""

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        has_app = (self.client_id is not None, self.private_key is not None)
        if (self.token is not None, *has_app) not in ((True, False, False), (False, True, True)):
            raise ValueError("set either token, or client_id and private_key")
        return self
