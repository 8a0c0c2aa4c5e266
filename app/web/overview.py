"""How a study's game is doing, in charts that renew themselves."""

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.infra.errors import NotFoundError
from app.models import Study
from app.services import overview
from app.services.overview import Overview
from app.web.charts import HEIGHT, WIDTH, Chart, bar_chart, line_chart
from app.web.deps import SessionDep, SignsDep, ViewedStudyDep
from app.web.templating import counted, render_part

router = APIRouter(prefix="/studio/{slug}/overview", default_response_class=Response)


@dataclass(frozen=True, slots=True)
class OverviewContext:
    """found: the numbers. charts: the same drawn, width x height. n_lost: answers of any game that
    could not be stored of late. quiet_s: seconds since the last answer, None before the first."""

    study: Study
    found: Overview
    charts: list[Chart]
    width: int
    height: int
    n_lost: int
    quiet_s: float | None


@router.get("")
def show(request: Request, session: SessionDep, signs: SignsDep, study: ViewedStudyDep) -> Response:
    now = datetime.now(UTC)
    found = overview.overview(session, study, now=now)
    context = OverviewContext(
        study=study,
        found=found,
        charts=_charts(study, found),
        width=WIDTH,
        height=HEIGHT,
        n_lost=signs.lost_answers(),
        quiet_s=(now - found.last_answer_at).total_seconds() if found.last_answer_at else None,
    )
    return render_part(request, "studies/overview.html", "studies/_overview.html", context)


@router.get("/{key}.csv")
def download(session: SessionDep, study: ViewedStudyDep, key: str) -> Response:
    """The numbers of one chart."""
    found = overview.overview(session, study, now=datetime.now(UTC))
    chart = next((chart for chart in _charts(study, found) if chart.key == key), None)
    if chart is None:
        raise NotFoundError("There is no such chart.")
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow([chart.step, chart.unit])
    rows.writerows(chart.rows)
    return Response(
        text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{study.slug}-{key}.csv"',
            "Cache-Control": "no-store",
        },
    )


def _charts(study: Study, found: Overview) -> list[Chart]:
    times = [f"{at:%H:%M}" if found.unit == "hour" else f"{at:%-d %b}" for at in found.starts]
    step = f"{found.unit} (UTC)"
    by_rounds = found.coverage.n_by_rounds
    n_shown = len(by_rounds)
    shares = [None if share is None else 100 * share for share in found.agreement]
    return [
        bar_chart(
            "rounds",
            title=f"Rounds finished, by {found.unit}",
            unit="rounds",
            step=step,
            labels=times,
            values=found.n_rounds,
            summary=f"{counted(sum(found.n_rounds), 'round')} in the time shown.",
        ),
        bar_chart(
            "players",
            title=f"People who played, by {found.unit}",
            unit="players",
            step=step,
            labels=times,
            values=found.n_players,
            summary=f"At most {max(found.n_players, default=0):,} in one {found.unit}.",
        ),
        bar_chart(
            "coverage",
            title="Maps by their number of rounds",
            unit="maps",
            step="rounds finished",
            labels=[str(n) for n in range(n_shown - 1)] + [f"{n_shown - 1}+"],
            values=by_rounds,
            summary=_coverage_in_words(study, found),
        ),
        line_chart(
            "agreement",
            title="Labels that another player confirmed",
            unit="% of labels",
            step=step,
            labels=times,
            values=shares,
            summary="Of labels on maps that two players or more have labelled.",
            top=100,
        ),
        line_chart(
            "concepts",
            title="Concepts found so far",
            unit="concepts",
            step=step,
            labels=times,
            values=found.n_concepts,
            summary=f"{found.n_concepts[-1]:,} by now.",
        ),
    ]


def _coverage_in_words(study: Study, found: Overview) -> str:
    coverage = found.coverage
    if coverage.n_enough is None:
        return f"{coverage.n_maps - coverage.n_by_rounds[0]:,} of {coverage.n_maps:,} maps played."
    return (
        f"{coverage.n_enough:,} of {coverage.n_maps:,} maps are done: "
        f"{coverage.n_enough - coverage.n_settled:,} have the {study.n_wanted:,} rounds that are "
        f"wanted, {coverage.n_settled:,} have settled before."
    )
