"""Sessions that are to end at Grantor and of which it has not yet been told."""

from __future__ import annotations

from django.db import models


class SessionEnd(models.Model):
    """All sessions of a subject are to end.

    The row is written in the transaction of the change that demands it, and deleted when Grantor
    has answered. So nothing is sent of a change that was rolled back, and nothing is lost in a crash.
    """

    subject = models.CharField(max_length=255, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "session end"
        verbose_name_plural = "session ends"

    def __str__(self) -> str:
        return f"session end {self.pk}"
