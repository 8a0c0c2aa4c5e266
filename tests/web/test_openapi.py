"""The API does what its description says, whatever is sent: no error of ours, no answer that is not
described, nothing in an answer that its schema does not know."""

import hashlib
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy.orm import Session

from app.infra.storage import Storage
from app.models import Concept, Export, Snapshot
from app.services import drafts, exports, rounds, tokens
from app.web.api import openapi
from tests.factories import make_account, make_image, make_player, make_study

N_EXAMPLES = 8
"""Requests of each call, drawn the same way each time: together some four hundred."""

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@pytest.fixture
def description(app: FastAPI, session: Session, storage: Storage) -> Any:
    """The description, with an admin's token, on a site that has one of everything."""
    admin = make_account(session, role="admin")
    study = make_study(session, owner=admin)
    image = make_image(session, storage, study)
    guessed = study.classes[1].id
    concept = Concept(class_id=image.class_id, name="sail")
    spec = exports.ExportSpec().as_json()
    export = Export(
        study_id=study.id,
        spec=spec,
        status="done",
        file_key="exports/a.csv",
        file_name="a.csv",
        size_bytes=6,
        sha256="0" * 64,
    )
    storage.put("exports/a.csv", b"label\n")
    storage.put("snapshots/a.zip", b"a zip")
    snapshot = Snapshot(
        study_id=study.id,
        number=1,
        made_by={},
        files=[],
        file_key="snapshots/a.zip",
        size_bytes=1,
        sha256="0" * 64,
    )
    session.add_all([concept, export, snapshot])
    draft = drafts.create(session, name="A draft", owner=admin)
    for player in (admin.player, make_player(session)):
        round_ = rounds.deal(session, player=player, study=study)
        assert round_ is not None
        rounds.guess(session, round_id=round_.id, player=player, class_id=guessed, labels=["sail"])
    _, token = tokens.create(session, admin, name="all", scopes=set(tokens.SCOPES), days=1)
    session.commit()
    known = {
        "slug": study.slug,
        "class_id": image.class_id,
        "concept_id": concept.id,
        "image_id": str(image.id),
        "round_id": str(round_.id),
        "export_id": str(export.id),
        "draft_id": str(draft.id),
        "number": 1,
    }
    schema = schemathesis.openapi.from_asgi(
        "/api/v1/openapi.json", app, headers={"Authorization": f"Bearer {token}"}
    )

    @schema.hook
    def map_path_parameters(context: Any, path_parameters: Any) -> Any:
        # What is made up finds nothing, so three times of four it is something that is there.
        if not path_parameters:
            return path_parameters
        drawn = hashlib.sha256(repr(sorted(path_parameters.items())).encode()).digest()[0]
        return (
            path_parameters
            if drawn % 4 == 0
            else {name: known.get(name, value) for name, value in path_parameters.items()}
        )

    return schema


@settings(
    max_examples=N_EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def ask(operation: Any, data: Any) -> None:
    mode = data.draw(st.sampled_from(GenerationMode))
    data.draw(operation.as_strategy(generation_mode=mode)).call_and_validate(checks=CHECKS)


def test_no_answer_is_a_lie(description: Any) -> None:
    operations = [found.ok() for found in description.get_all_operations()]
    assert len(operations) == sum(map(len, openapi()["paths"].values()))
    for operation in operations:
        ask(operation)
