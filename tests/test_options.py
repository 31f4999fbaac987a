"""The text below a field is its description, in the schema alone."""

from pydantic import BaseModel, Field, create_model

from auditor.options import OPTIONS


class Base(BaseModel):
    model_config = OPTIONS

    name: str
    rate: float = 1.0
    """How often
    at most."""


class Special(Base):
    rate: float = 2.0
    sender: str = Field(default="", alias="from")
    """Who sends."""
    answer: int = Field(default=42, description="Said outright.")
    """Said below."""


def descriptions(model: type[BaseModel]) -> dict[str, str | None]:
    properties = model.model_json_schema()["properties"]
    return {name: field.get("description") for name, field in properties.items()}


def test_the_text_below_a_field_describes_it():
    assert {"name": None, "rate": "How often\nat most."} == descriptions(Base)


def test_a_field_that_is_given_another_default_keeps_its_description():
    assert "How often\nat most." == descriptions(Special)["rate"]


def test_a_description_stands_under_the_key_that_people_write():
    assert "Who sends." == descriptions(Special)["from"]


def test_what_the_field_says_outright_wins():
    assert "Said outright." == descriptions(Special)["answer"]


def test_options_built_at_run_time_inherit_descriptions():
    built = create_model("Built", __base__=Base, more=(int, 1))

    assert {"name": None, "rate": "How often\nat most.", "more": None} == descriptions(built)
