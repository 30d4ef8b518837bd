"""``manage.py grantor_end_sessions``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_grantor import sessions
from django_grantor.conf import get_config
from django_grantor.models import SessionEnd


class Command(BaseCommand):
    """Sends what is queued, for a cron job or where no web process runs."""

    help = "Tells Grantor of the session ends that are queued; with --sub, ends one user's sessions now."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare --sub."""
        parser.add_argument("--sub", help="end the sessions of this subject (a user's primary key)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit status 1 where something could not be sent."""
        config = get_config()
        if not (config.admin_url and config.admin_client_id):
            raise CommandError("GRANTOR needs ADMIN_URL, ADMIN_CLIENT_ID and ADMIN_CLIENT_SECRET")
        if options["sub"]:
            SessionEnd.objects.create(subject=options["sub"])
        if not sessions.send_queued():
            raise CommandError("some sessions could not be ended; they stay in the queue")
        self.stdout.write("the queue is empty")
