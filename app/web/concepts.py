"""What people decide about the concepts of a class: merge, split, rename, junk, bias."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.infra.errors import InvalidInputError
from app.models import AuditEntry, Study, StudyClass
from app.services import audit, curation, moderation, studies
from app.services.curation import ConceptWords
from app.web.deps import ModeratedStudyDep, RowNumber, SessionDep
from app.web.templating import redirect, render

router = APIRouter(prefix="/studio/{slug}/concepts-of/{class_id}", default_response_class=Response)

Players = Literal["people", "simulated"]
Act = Literal["merge", "split", "rename", "junk", "bias", "no bias"]

# "No bias" takes the mark back: what it means decides again.
_IS_PART: Final = {"bias": False, "no bias": None}


@dataclass(frozen=True, slots=True)
class ConceptsContext:
    """The concepts of a class with their words. last_act: what can be taken back, if anything;
    told: the words of acts."""

    study: Study
    image_class: StudyClass
    players: Players
    concepts: list[ConceptWords]
    last_act: AuditEntry | None
    told: dict[str, str]


@router.get("")
def show(
    request: Request,
    session: SessionDep,
    study: ModeratedStudyDep,
    class_id: RowNumber,
    players: Players = "people",
) -> Response:
    image_class = studies.get_class(session, study, class_id)
    context = ConceptsContext(
        study=study,
        image_class=image_class,
        players=players,
        concepts=curation.in_use(session, class_id=class_id, simulated=players == "simulated"),
        last_act=next(iter(moderation.last_acts(session, study, limit=1)), None),
        told=dict(audit.ACTS),
    )
    return render(request, "concepts/show.html", context)


@router.post("")
def act(
    request: Request,
    session: SessionDep,
    study: ModeratedStudyDep,
    class_id: RowNumber,
    act: Annotated[Act, Form()],
    players: Annotated[Players, Form()] = "people",
    concept_id: Annotated[list[RowNumber], Form()] = [],  # noqa: B006
    label: Annotated[list[str], Form()] = [],  # noqa: B006
    name: Annotated[str, Form()] = "",
) -> Response:
    """Act on the ticked concepts, or split the ticked labels off. label: each as "concept:text"."""
    image_class = studies.get_class(session, study, class_id)
    concept_ids = list(dict.fromkeys(concept_id))
    if act == "split":
        concept_ids, texts = _to_split(label)
    curation.require_in_class(session, image_class, concept_ids)
    if act == "merge":
        curation.merge_all(session, concept_ids=concept_ids, name=name)
    elif act == "split":
        curation.split(session, concept_id=concept_ids[0], texts=texts, name=name)
    elif act == "rename":
        if len(concept_ids) != 1:
            raise InvalidInputError("Tick the one concept that shall have another name.")
        curation.rename(session, concept_id=concept_ids[0], name=name)
    else:
        for one in concept_ids:
            if act == "junk":
                curation.mark_junk(session, concept_id=one)
            else:
                curation.mark_part(session, concept_id=one, is_part=_IS_PART[act])
    return redirect(request, f"/studio/{study.slug}/concepts-of/{class_id}?players={players}")


def _to_split(labels: list[str]) -> tuple[list[int], list[str]]:
    """The concept of the ticked labels, in a list, and their texts."""
    parts = [label.partition(":") for label in labels]
    ids = {key for key, _, _ in parts}
    if len(ids) != 1 or not all(key.isdecimal() and len(key) < 19 for key in ids):
        raise InvalidInputError("Tick labels of one concept, those that shall leave it.")
    return [int(key) for key in ids], [text for _, _, text in parts]
