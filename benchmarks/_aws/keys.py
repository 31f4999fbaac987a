"""Keys that the simulated account knows, in a module that takes no memory to import."""

KEY_ID = "AKIAAUDITORAUDITORAU"
SECRET = "canary/secret/access/key/never/to/be/seen"  # noqa: S105 - opens a simulation
