"""One template for every field: labelled, with its hint and its errors told to screen readers."""

import re

from django import forms
from django.template.loader import render_to_string

from chat.web.forms import NewRoomForm


class Sample(forms.Form):
    name = forms.CharField(
        label="Your <name>", help_text="Up to 5.", max_length=5, widget=forms.TextInput({"class": "x"})
    )
    about = forms.CharField(widget=forms.Textarea)
    size = forms.ChoiceField(choices=[("s", "Small")])
    agreed = forms.BooleanField(label="I agree")
    colour = forms.ChoiceField(choices=[("r", "Red"), ("g", "Green")], widget=forms.RadioSelect)
    hidden = forms.CharField(widget=forms.HiddenInput)


def shown(form: forms.Form, name: str) -> str:
    return " ".join(render_to_string("chat/_field.html", {"field": form[name]}).split())


def test_every_control_has_a_label_and_the_class_of_the_style_sheet():
    form = Sample()
    for name in ("name", "about", "size"):
        html = shown(form, name)
        assert f'for="id_{name}"' in html and f'id="id_{name}"' in html
        assert re.search(r'class="field__input( x)?"', html)
    assert "Your &lt;name&gt;" in shown(form, "name")
    assert 'class="choice" for="id_agreed"' in shown(form, "agreed")
    colours = shown(form, "colour")
    assert "<legend" in colours and 'for="id_colour_1"' in colours and colours.count('type="radio"') == 2
    assert shown(form, "hidden").startswith("<input") and "label" not in shown(form, "hidden")


def test_hint_and_error_are_tied_to_the_control():
    form = Sample({"name": "<too long>"})
    html = shown(form, "name")
    described = re.findall(r'aria-describedby="([^"]*)"', html)[0].split()
    assert described == ["id_name_helptext", "id_name_error"]
    assert all(f'id="{each}"' in html for each in described)
    assert 'aria-invalid="true"' in html and "Ensure this value has at most 5 characters" in html


def test_a_group_of_choices_tells_its_error_too():
    form = NewRoomForm({"kind": "nonsense"})
    html = shown(form, "kind")
    assert 'aria-describedby="id_kind_error"' in html and 'id="id_kind_error"' in html
