"""How Vault and OpenBao are read: the private half of `auditor.collectors.vault`."""
