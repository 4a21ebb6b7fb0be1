"""The processes of a running stack, as a table."""

from rich.table import Table

from services.local.processes.child import Usage
from services.local.processes.supervisor import WorkerState
from services.local.stack import Stack

_STYLES = {
    WorkerState.RUNNING: "green",
    WorkerState.WAITING: "red",
    WorkerState.STOPPING: "yellow",
    WorkerState.STOPPED: "dim",
}


def table(stack: Stack) -> Table:
    """A row for each process: state, restarts, CPU and memory; for services also the port."""
    result = Table("process", "state", box=None)
    for name in ("pid", "port", "restarts", "CPU s", "peak MB"):
        result.add_column(name, justify="right")
    for server in stack.servers:
        result.add_row(server.name, "[green]running[/]", str(server.pid), "", "", *_usage(server.usage))
    for name, history in stack.workers.histories().items():
        state, pid = f"[{_STYLES[history.state]}]{history.state}[/]", str(history.pid or "")
        result.add_row(name, state, pid, str(stack.ports[name]), str(history.restarts), *_usage(history.usage))
    return result


def _usage(usage: Usage) -> tuple[str, str]:
    return f"{usage.cpu_seconds:.1f}", f"{usage.peak_rss / 2**20:.0f}"
