import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class People(BaseUserManager):
    def create_user(self, email, nick, password):
        person = self.model(email=email, nick=nick)
        person.set_password(password)
        person.save()
        return person


class Person(AbstractBaseUser):
    """A user without a user name, without a number as the key, and without Django's permissions."""

    uid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    nick = models.CharField(max_length=50)

    USERNAME_FIELD = "email"
    objects = People()
