"""How Okta is read: the private half of `auditor.collectors.okta`."""
