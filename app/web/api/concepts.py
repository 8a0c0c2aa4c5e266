"""Concepts of a class, and what people decide about them."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy.orm import Session

from app.models import Study
from app.services import audit, curation, studies
from app.services.curation import ConceptWords
from app.web.api.callers import ModeratedStudyDep, ReadStudyDep
from app.web.api.paging import Cursor, Limit, page, read_cursor, row_number
from app.web.api.shapes import ActOut, Page, Players, Shape, Text, example
from app.web.deps import RowNumber, SessionDep

_CONCEPTS = "/studies/{slug}/classes/{class_id}/concepts"

router = APIRouter(tags=["concepts"])

Name = Annotated[Text, Field(min_length=1, max_length=curation.MAX_NAME_CHARACTERS)]


class WordOut(Shape):
    """A way in which players say a concept, and how many labels say it so."""

    model_config = example(text="sails", n_labels=7)

    text: str
    n_labels: int


class ConceptOut(Shape):
    """A concept. is_part: a researcher's word on whether it is part of its class, null when nobody
    has said; false marks a bias."""

    model_config = example(
        id=41,
        name="sail",
        n_labels=19,
        texts=[{"text": "sail", "n_labels": 12}, {"text": "sails", "n_labels": 7}],
        is_part=None,
    )

    id: int
    name: str
    n_labels: int
    texts: list[WordOut]
    is_part: bool | None


class Merge(Shape):
    """The concept that it becomes a part of."""

    model_config = example(into_id=12)

    into_id: RowNumber


class Split(Shape):
    """The labels that leave, by their texts, and the name of the concept that they become."""

    model_config = example(labels=["mast"], name="mast")

    labels: Annotated[list[Text], Field(min_length=1, max_length=500)]
    name: Name


class NewName(Shape):
    """What the concept is called from now on."""

    model_config = example(name="mainsail")

    name: Name


class Part(Shape):
    """true: part of its class. false: a bias. null: as what words mean says."""

    model_config = example(is_part=False)

    is_part: bool | None


def _concept_out(found: ConceptWords) -> ConceptOut:
    return ConceptOut(
        id=found.concept.id,
        name=found.concept.name,
        n_labels=found.n_labels,
        texts=[WordOut(text=text, n_labels=n) for text, n in found.texts],
        is_part=found.concept.is_part,
    )


def _require_concept(
    session: SessionDep, study: ModeratedStudyDep, class_id: RowNumber, concept_id: RowNumber
) -> None:
    """The concept in the address is one of that class, and that one of that study."""
    _require_in_class(session, study, class_id, [concept_id])


def _require_in_class(session: Session, study: Study, class_id: int, ids: list[int]) -> None:
    curation.require_in_class(session, studies.get_class(session, study, class_id), ids)


ConceptDep = Depends(_require_concept, scope="function")


@router.get(_CONCEPTS, summary="Concepts of a class")
def list_concepts(
    session: SessionDep,
    study: ReadStudyDep,
    class_id: RowNumber,
    players: Players = "people",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ConceptOut]:
    """The concepts that labels can be in, with their labels, by id."""
    studies.get_class(session, study, class_id)
    found = curation.page_in_use(
        session,
        class_id=class_id,
        simulated=players == "simulated",
        limit=limit + 1,
        after=read_cursor(cursor, row_number),
    )
    return page(found, limit, key=lambda one: (one.concept.id,), shape=_concept_out)


@router.post(
    _CONCEPTS + "/{concept_id}/merge", summary="Merge a concept away", dependencies=[ConceptDep]
)
def merge(
    session: SessionDep,
    study: ModeratedStudyDep,
    class_id: RowNumber,
    concept_id: RowNumber,
    asked: Merge,
) -> ActOut:
    """All its labels, now and later, belong to another concept of the class."""
    _require_in_class(session, study, class_id, [asked.into_id])
    curation.merge(session, concept_id=concept_id, into_id=asked.into_id)
    return ActOut.of(audit.last_recorded(session))


@router.post(
    _CONCEPTS + "/{concept_id}/split", summary="Split labels off", dependencies=[ConceptDep]
)
def split(session: SessionDep, concept_id: RowNumber, asked: Split) -> ActOut:
    """Some of its labels become a concept of their own."""
    curation.split(session, concept_id=concept_id, texts=asked.labels, name=asked.name)
    return ActOut.of(audit.last_recorded(session))


@router.put(_CONCEPTS + "/{concept_id}/name", summary="Rename a concept", dependencies=[ConceptDep])
def rename(session: SessionDep, concept_id: RowNumber, asked: NewName) -> ActOut:
    """No later run calls it otherwise."""
    curation.rename(session, concept_id=concept_id, name=asked.name)
    return ActOut.of(audit.last_recorded(session))


@router.post(
    _CONCEPTS + "/{concept_id}/junk", summary="Call a concept junk", dependencies=[ConceptDep]
)
def mark_junk(session: SessionDep, concept_id: RowNumber) -> ActOut:
    """Its labels say nothing, now and later."""
    curation.mark_junk(session, concept_id=concept_id)
    return ActOut.of(audit.last_recorded(session))


@router.put(
    _CONCEPTS + "/{concept_id}/part", summary="Mark a concept as bias", dependencies=[ConceptDep]
)
def mark_part(session: SessionDep, concept_id: RowNumber, asked: Part) -> ActOut:
    """Say whether it is part of its class; what is none of it is a bias."""
    curation.mark_part(session, concept_id=concept_id, is_part=asked.is_part)
    return ActOut.of(audit.last_recorded(session))
