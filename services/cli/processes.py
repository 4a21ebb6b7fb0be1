"""The processes of a running stack, as a table."""

from rich.table import Table

from services.local.stack import Stack
from services.local.supervisor import WorkerState

_STYLES = {
    WorkerState.RUNNING: "green",
    WorkerState.WAITING: "red",
    WorkerState.STOPPING: "yellow",
    WorkerState.STOPPED: "dim",
}


def table(stack: Stack) -> Table:
    """One row a service's process: its state, how often it had to be started again, what it uses."""
    made = Table("process", "state", box=None)
    for name in ("pid", "restarts", "CPU s", "peak MB"):
        made.add_column(name, justify="right")
    made.add_column("health and metrics")
    for name, account in stack.workers.accounts().items():
        made.add_row(
            name,
            f"[{_STYLES[account.state]}]{account.state}[/]",
            str(account.pid or "–"),
            str(account.restarts),
            f"{account.usage.cpu_seconds:.1f}",
            f"{account.usage.peak_rss / 2**20:.0f}",
            f"http://127.0.0.1:{stack.ports[name]}/metrics",
        )
    return made
