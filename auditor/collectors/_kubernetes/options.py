"""What a Kubernetes source may be told."""

from pydantic import Field

from auditor.client.settings import BaseUrl, ConnectionOptions
from auditor.collectors.interface import SourceOptions


class KubernetesOptions(ConnectionOptions, SourceOptions):
    """The keys of a Kubernetes source: one cluster."""

    base_url: BaseUrl
    """The API server, such as ``https://kubernetes.default.svc``."""
    token: str = Field(repr=False)
    """A bearer token; ``${file:/var/run/secrets/kubernetes.io/serviceaccount/token}`` in a pod."""
    cluster: str | None = Field(default=None, min_length=1)
    """What the cluster is called in reports. Its identity is the uid of ``kube-system``."""
