from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST
from people.models import Person

from chat import api
from shop.models import Order, OrderAccess


@login_required
def orders(request):
    return render(request, "shop/orders.html", {"orders": Order.objects.all()})


def order(request, number):
    order = get_object_or_404(Order, pk=number)
    others = order.accesses.exclude(person=request.user.pk).values_list("person", flat=True)
    return render(request, "shop/order.html", {"order": order, "others": Person.objects.filter(pk__in=list(others))})


@require_POST
@login_required
def shut_out(request, number, person):
    OrderAccess.objects.filter(order=number, person=person).delete()
    api.recheck([Person.objects.get(pk=person)])
    return redirect("order", number)
