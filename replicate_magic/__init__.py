"""Run Replicate models from a notebook cell: `%%replicate owner/name`.

Public names are imported when they are first used, so that loading the extension is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from replicate_magic.account import login, logout
    from replicate_magic.aliases import alias
    from replicate_magic.batch_job import BatchJob
    from replicate_magic.batches import abatch, batch, resume
    from replicate_magic.call_code import Code
    from replicate_magic.calling import call_api
    from replicate_magic.cell.info import ModelInfo
    from replicate_magic.difference import Difference
    from replicate_magic.errors import (
        APIError,
        BatchFailed,
        CellError,
        ConnectionFailed,
        ConnectionLost,
        CreateUnclear,
        EngineUnavailable,
        HistoryError,
        InputError,
        InsufficientCredit,
        InvalidInput,
        JqError,
        NotFound,
        NotInHistory,
        OverBudget,
        PredictionFailed,
        PredictionTimeout,
        RateLimited,
        ReplicateMagicError,
        ServerError,
        TemplateError,
        Unauthorized,
        UnexpectedAnswer,
    )
    from replicate_magic.finding import search
    from replicate_magic.functions import arun, attach, info, run, start
    from replicate_magic.job import Job
    from replicate_magic.local import serve
    from replicate_magic.notebook.status import status
    from replicate_magic.past import cancel, code, diff, rerun, show
    from replicate_magic.prediction import OutputFile, Prediction
    from replicate_magic.runs.transfer import export_runs, import_runs
    from replicate_magic.tables import jq, plot, runs, stats

__all__ = [
    "APIError",
    "BatchFailed",
    "BatchJob",
    "CellError",
    "Code",
    "ConnectionFailed",
    "ConnectionLost",
    "CreateUnclear",
    "Difference",
    "EngineUnavailable",
    "HistoryError",
    "InputError",
    "InsufficientCredit",
    "InvalidInput",
    "Job",
    "JqError",
    "ModelInfo",
    "NotFound",
    "NotInHistory",
    "OutputFile",
    "OverBudget",
    "Prediction",
    "PredictionFailed",
    "PredictionTimeout",
    "RateLimited",
    "ReplicateMagicError",
    "ServerError",
    "TemplateError",
    "Unauthorized",
    "UnexpectedAnswer",
    "abatch",
    "alias",
    "arun",
    "attach",
    "batch",
    "call_api",
    "cancel",
    "code",
    "diff",
    "export_runs",
    "import_runs",
    "info",
    "jq",
    "login",
    "logout",
    "plot",
    "rerun",
    "resume",
    "run",
    "runs",
    "search",
    "serve",
    "show",
    "start",
    "stats",
    "status",
]

_ROOMS = {
    "BatchJob": "batch_job",
    "Code": "call_code",
    "Difference": "difference",
    "Job": "job",
    "ModelInfo": "cell.info",
    "OutputFile": "prediction",
    "Prediction": "prediction",
    "abatch": "batches",
    "alias": "aliases",
    "arun": "functions",
    "attach": "functions",
    "batch": "batches",
    "call_api": "calling",
    "cancel": "past",
    "code": "past",
    "diff": "past",
    "export_runs": "runs.transfer",
    "import_runs": "runs.transfer",
    "info": "functions",
    "jq": "tables",
    "login": "account",
    "logout": "account",
    "plot": "tables",
    "rerun": "past",
    "resume": "batches",
    "run": "functions",
    "runs": "tables",
    "search": "finding",
    "serve": "local",
    "show": "past",
    "start": "functions",
    "stats": "tables",
    "status": "notebook.status",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOMS.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__", "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Make `%%replicate` and `%replicate` known: `%load_ext replicate_magic`."""
    from replicate_magic.notebook import magics

    magics.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away, and end what they have running."""
    from replicate_magic.notebook import magics

    magics.unload(shell)
