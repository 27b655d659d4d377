from django.db import models


class Post(models.Model):
    """A message as a simple chat stores it."""

    room = models.CharField(max_length=50, db_index=True)
    author = models.CharField(max_length=50)
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self):
        return self.body
