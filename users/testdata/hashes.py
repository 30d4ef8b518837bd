"""Prints the password of the test in every form that this Django can write, a line each."""
import django
from django.conf import settings

names = ["PBKDF2", "PBKDF2SHA1", "Argon2", "BCryptSHA256", "BCrypt", "Scrypt"]
settings.configure(PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"])
django.setup()
from django.contrib.auth import hashers  # noqa: E402

for name in names:
    try:
        hasher = getattr(hashers, name + "PasswordHasher")()
        text = hasher.encode("p\u00e4ssw\u00f6rd \u2603 e\u0301", hasher.salt())
    except (AttributeError, ValueError):
        continue  # an older Django, or its library is not installed
    print(text)
