"""The database through time: one module per step; read `auditor.store.migrate`."""
