from django.core.mail import send_mail
from django.dispatch import receiver
from people.models import Person

from chat.signals import message_posted
from shop.models import OrderAccess


@receiver(message_posted)
def mail_the_others(message, **_):
    accesses = OrderAccess.objects.filter(order=message.room.subject_id).exclude(person=message.author_id)
    keys = list(accesses.values_list("person", flat=True))  # a list: people are in another database
    for person in Person.objects.filter(pk__in=keys):
        send_mail(f"{message.author.nick} on {message.room}", message.body, None, [person.email])
