"""The web view: what the store holds, to read in a browser; it changes nothing."""
