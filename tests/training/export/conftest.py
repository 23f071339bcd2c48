"""One export of every kind."""

import pytest

from swe_agent.orchestrator.record.synthetic import synthetic_records
from swe_agent.orchestrator.training.export.export import export
from swe_agent.orchestrator.training.export.options import ExportOptions


@pytest.fixture(scope="session")
def everything(tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "out"
    export(synthetic_records(12, steps=8, branches=3), ["all"], out, ExportOptions(only="all", max_growth=0))
    return out
