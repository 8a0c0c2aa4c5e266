"""The pictures of a study, class by class, to look at and choose from."""

from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import func, select
from sqlalchemy.orm import Session, contains_eager

from app.models import Image, Study, StudyClass


@dataclass(frozen=True, slots=True)
class ClassPictures:
    """Pictures of a class that are computed. n_images: how many there are, shown or not."""

    image_class: StudyClass
    images: list[Image]
    n_images: int


def class_by_class(
    session: Session, study: Study, *, per_class: int, class_id: int | None = None
) -> list[ClassPictures]:
    """The study's computed pictures class by class, at most `per_class` of each. class_id: all
    those of this class instead."""
    ranked = (
        select(
            Image.id,
            func.row_number()
            .over(partition_by=Image.class_id, order_by=Image.file_name)
            .label("place"),
            func.count().over(partition_by=Image.class_id).label("n"),
        )
        .where(Image.study_id == study.id, Image.status == "done")
        .subquery("ranked")
    )
    is_shown = ranked.c.place <= per_class if class_id is None else Image.class_id == class_id
    rows = session.execute(
        select(Image, ranked.c.n)
        .join(ranked, ranked.c.id == Image.id)
        .join(Image.image_class)
        .where(is_shown)
        .options(contains_eager(Image.image_class))
        .order_by(StudyClass.position, Image.file_name)
    )
    return [
        ClassPictures(image_class, [image for image, _ in group], n)
        for (image_class, n), group in groupby(rows, lambda row: (row[0].image_class, row[1]))
    ]
