"""Form controls."""

from django import forms

from chat.templatetags.chat_forms import control


class Room(forms.Form):
    name = forms.CharField()
    topic = forms.CharField(widget=forms.TextInput(attrs={"class": "wide"}))


def test_a_field_that_is_wrong_gets_the_focus_and_no_other_does() -> None:
    form = Room({"name": "", "topic": "Soup"})
    assert "autofocus" in control(form["name"])
    assert "autofocus" not in control(form["topic"])
    assert "autofocus" not in control(Room()["name"])


def test_a_field_keeps_the_classes_that_its_form_gave_it() -> None:
    assert 'class="field__input wide"' in control(Room()["topic"])
