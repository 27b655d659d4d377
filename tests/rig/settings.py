"""Settings of the sites that tests start: those of production, but for the slow hashing of passwords."""

from project.settings import *

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
