from django.db import models
from django.urls import reverse


class Order(models.Model):
    number = models.IntegerField(primary_key=True)
    goods = models.CharField(max_length=100)

    def __str__(self):
        return f"Order {self.number}"

    def get_absolute_url(self):
        return reverse("order", args=[self.number])


class OrderAccess(models.Model):
    """Gives a person access to an order. People are in another database, so there is no foreign key."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="accesses")
    person = models.UUIDField()
    may_write = models.BooleanField(default=True)

    def __str__(self):
        return f"{self.person} in {self.order}"
