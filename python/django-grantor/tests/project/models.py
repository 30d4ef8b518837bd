"""User models of other shapes, for what grantor_config prints."""

import uuid

from django.contrib.auth.models import AbstractBaseUser, AbstractUser, User
from django.db import models


class MailUser(AbstractUser):
    """Logs in by e-mail; its key is a UUID."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    username = None
    email = models.EmailField(unique=True, db_column="mail")
    groups = models.ManyToManyField("auth.Group", related_name="mail_users")
    user_permissions = models.ManyToManyField("auth.Permission", related_name="mail_users")
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta:
        db_table = "mail users"


class PlainUser(AbstractBaseUser):
    """Has neither groups nor is_active; its key is a text."""

    code = models.CharField(max_length=20, primary_key=True)
    login = models.CharField(max_length=20, unique=True)
    USERNAME_FIELD = "login"


class Employee(User):
    """Inherits the table of another model."""

    badge = models.CharField(max_length=20, unique=True)
