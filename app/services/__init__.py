"""Verbs with a session. They never commit: a request, task or command is one transaction, whose
edge is `app.infra.db.transaction`."""
