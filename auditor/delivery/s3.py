"""Reports into S3 or a compatible object store. Needs the extra ``aws``.

The auditor's credentials come from the usual chain of the AWS SDK (environment, profile, role);
they need ``s3:PutObject`` on the prefix and nothing else. Retention is the bucket's own matter
(lifecycle rules).
"""

import asyncio
import io
from typing import Annotated, Any

from pydantic import Field

from auditor.delivery._news import NewsOptions, When, is_told
from auditor.delivery._post import Url
from auditor.delivery.interface import Channel, Parcel
from auditor.errors import DeliveryError
from auditor.findings.view import ReportView

_FINAL = frozenset({"EntityTooLarge", "InvalidRequest", "InvalidArgument", "KeyTooLongError"})


class S3Options(NewsOptions):
    """The keys of a bucket."""

    when: When = When.ALWAYS
    bucket: str = Field(min_length=1)
    prefix: str = ""
    """What object names start with, such as ``auditor/``."""
    formats: Annotated[tuple[str, ...], Field(min_length=1)] = ("html", "json")
    region: str | None = None
    profile: str | None = None
    endpoint_url: Url | None = None
    """For compatible stores; AWS's own where left out."""
    encryption: str | None = None
    """``AES256`` or ``aws:kms``; the bucket's default where left out."""


class S3(Channel):
    """Puts each format as one object; the same run is the same object."""

    suffix = ".message"
    Options = S3Options

    def recipients(self, view: ReportView) -> list[str]:
        """Return the formats where the run is news: each is a delivery of its own."""
        options: S3Options = self.options
        return list(dict.fromkeys(options.formats)) if is_told(view, options) else []

    def render(self, view: ReportView, parcel: Parcel) -> bytes:
        """Return the report, after one line with its object's name."""
        document = self.documents(parcel.recipient)
        out = io.BytesIO()
        name = self.options.prefix + document.filename.format(run=view.run.id)
        out.write(name.encode() + b"\n")
        document.render(view, out)
        return out.getvalue()

    async def send(self, body: bytes, parcel: Parcel) -> None:
        """Put the object; a retry puts the same bytes at the same name."""
        name, _, content = body.partition(b"\n")
        facts = {
            "Bucket": self.options.bucket,
            "Key": name.decode(),
            "Body": content,
            "ContentType": self.documents(parcel.recipient).media_type,
        }
        if self.options.encryption is not None:
            facts["ServerSideEncryption"] = self.options.encryption
        await asyncio.to_thread(self._put, facts)

    def _put(self, facts: dict[str, Any]) -> None:
        try:
            from botocore.config import Config  # noqa: PLC0415 - an extra, and slow to import
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
            from botocore.session import Session  # noqa: PLC0415
        except ImportError as error:
            raise DeliveryError("botocore is not installed; install auditor[aws]") from error
        options: S3Options = self.options
        where = f"s3://{options.bucket}"
        settings = Config(connect_timeout=20, read_timeout=60, retries={"total_max_attempts": 1})
        try:
            client = Session(profile=options.profile).create_client(
                "s3",
                region_name=options.region,
                endpoint_url=options.endpoint_url and self.resolve(options.endpoint_url),
                config=settings,
            )
            client.put_object(**facts)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            raise DeliveryError(
                f"{where} did not take the report: {code}; it needs s3:PutObject",
                retry=code not in _FINAL,
            ) from error
        except BotoCoreError as error:
            raise DeliveryError(f"{where} cannot be reached ({type(error).__name__})") from error
