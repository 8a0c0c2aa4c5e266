"""The game as JSON, by the same services as the pages: `/api/v1`."""

from app.web.api.routes import router

__all__ = ["router"]
