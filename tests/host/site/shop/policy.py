from chat.access.policy import Policy
from shop.models import Order, OrderAccess


class OrderPolicy(Policy):
    """An order's room is for the people with access to the order. The chat stores no members for it."""

    def name_of(self, user):
        return user.nick

    def can_see(self, user, room, membership):
        if isinstance(room.subject, Order):
            return self.is_welcome(user) and self._accesses(user, room).exists()
        return super().can_see(user, room, membership)

    def can_post(self, user, room, membership):
        if isinstance(room.subject, Order):
            return self.is_welcome(user) and self._accesses(user, room).filter(may_write=True).exists()
        return super().can_post(user, room, membership)

    def _accesses(self, user, room):
        return OrderAccess.objects.filter(order=room.subject_id, person=user.pk)
