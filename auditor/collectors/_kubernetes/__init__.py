"""How a Kubernetes cluster is read: the private half of `auditor.collectors.kubernetes`."""
