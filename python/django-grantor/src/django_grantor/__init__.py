"""Protects Django REST framework APIs with the access tokens of Grantor (RFC 6750, RFC 7662)."""

__version__ = "0.1.0"
