"""Errors that people are meant to read.

An `AppError` carries the sentence to show and the HTTP status that goes with it. The web, the
command line and the workers each have one place that turns it into a page, a line or a log entry.
"""

from typing import Self


class Sentence(str):
    """An English sentence with its values filled in. It still knows what it was made of, so that it
    can be said in another language: template, as catalogues have it, with `%(name)s` for a value,
    and values by their names."""

    __slots__ = ("template", "values")

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, values: dict[str, object]) -> Self:
        sentence = super().__new__(cls, template % values)
        sentence.template, sentence.values = template, values
        return sentence


class AppError(Exception):
    """Something a person can understand and act on. The message is shown to them; where it says
    `%(name)s`, a value of that name is filled in."""

    status = 400

    def __init__(self, message: str, **values: object) -> None:
        self.message = Sentence(message, values) if values else message
        super().__init__(self.message)


class NotFoundError(AppError):
    """What was asked for does not exist, or not for this person."""

    status = 404


class UnauthorizedError(AppError):
    """Nobody known is asking."""

    status = 401


class ForbiddenError(AppError):
    """The person may not do this."""

    status = 403


class ConflictError(AppError):
    """The request was right once, but not in the present state."""

    status = 409


class InvalidInputError(AppError):
    """What was sent cannot be used as it is."""

    status = 422


class SignInNeededError(AppError):
    """Only somebody who is signed in may do this."""

    status = 401


class TooManyError(AppError):
    """This was tried too often. wait_s: seconds until it may be tried again."""

    status = 429

    def __init__(self, message: str, *, wait_s: int) -> None:
        super().__init__(message)
        self.wait_s = wait_s
