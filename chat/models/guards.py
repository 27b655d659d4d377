"""Live tables: their rows change inside ``models.database.write()`` alone, which only services open.

A change that bypassed the services would have no seq, and no open page would hear of it.
"""

from typing import Any, NoReturn, TypeVar

from django.db import models

from chat.models.database import in_service

Row = TypeVar("Row", bound=models.Model, covariant=True)


class GuardedQuerySet(models.QuerySet[Row, Row]):
    """Refuses bulk changes that would bypass the services, and with them the sequence and the live pages."""

    def update(self, **kwargs: Any) -> int:
        return super().update(**kwargs) if in_service.get() else _refuse(self.model)

    def delete(self) -> tuple[int, dict[str, int]]:
        return super().delete() if in_service.get() else _refuse(self.model)

    update.alters_data = True  # type: ignore[attr-defined]
    delete.alters_data = True  # type: ignore[attr-defined]


class LiveModel(models.Model):
    """A table that open pages show live: its rows change through ``chat.services`` alone."""

    objects = GuardedQuerySet.as_manager()

    class Meta:
        abstract = True

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        return super().delete(*args, **kwargs) if in_service.get() else _refuse(type(self))


def _refuse(model: type[models.Model]) -> NoReturn:
    raise TypeError(
        f"{model.__name__} rows are live: change them through chat.services (or chat.api), which number the change "
        "and tell the open pages."
    )
