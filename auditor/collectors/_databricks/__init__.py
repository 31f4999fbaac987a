"""How Databricks is read: the private half of `auditor.collectors.databricks`."""
