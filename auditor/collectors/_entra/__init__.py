"""The parts of the Microsoft Entra collector: logging in, Graph, grants, sign-ins and records."""
