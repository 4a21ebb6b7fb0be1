"""The live figures of the whole stream: one value, made by the monitor, shown by status, gateway, metrics and
dashboard."""

from pydantic import BaseModel, ConfigDict, Field


class Figure(BaseModel):
    """A part of the figures. Readers pass over fields that they don't know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TopicFigures(Figure):
    """One topic of a case's way."""

    topic: str
    open: int = Field(description="Cases that stand here now: whoever reads the topic has them, or will.")
    ended: int = Field(default=0, description="Cases that ended here.")
    oldest_s: float | None = Field(default=None, description="Seconds that the longest-standing of the open is here.")
    seen: int = Field(description="Messages in all, repeats left out.")
    per_minute: int = Field(description="Of these, those written in the last 60 seconds.")
    lag: dict[str, int] = Field(
        default_factory=dict, description="Messages not committed, by consumer group; work under way is in it."
    )


class Ends(Figure):
    """Ended cases, by how."""

    accepted: int = 0
    rejected: int = 0
    dead: int = 0
    refused: int = 0


class RecordCost(Figure):
    """Records of one difficulty, whose chain of thought one model wrote."""

    difficulty: str
    alias: str
    records: int
    usd: float = Field(description="Their whole cost: the discarded paths' share too.")
    tokens_in: int
    tokens_out: int


class Spent(Figure):
    """What the ledger's finished calls of one model and stage came to; each paid call once, failed ones too."""

    alias: str
    stage: str
    calls: int
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    usd: float


class Budget(Figure):
    """The sum at which admission stops."""

    usd: float
    reserved_usd: float = Field(description="What the open cases will probably still cost.")
    stopped: bool = Field(description="Questions wait: what is spent and reserved has reached the sum.")


class Figures(Figure):
    """Everything at one moment. `at` is Unix time in seconds, by the monitor's clock."""

    at: float
    behind_s: float = Field(
        description="Seconds from the writing of the message that the monitor read last to its reading."
    )
    topics: tuple[TopicFigures, ...] = Field(description="In the order of a case's way.")
    open: int = Field(description="Cases that have not ended.")
    ends: Ends
    routes: dict[str, int] = Field(description="Cases by difficulty: easy, medium, difficult.")
    refused: dict[str, int] = Field(default_factory=dict, description="Refused questions by reason.")
    records: tuple[RecordCost, ...]
    spent: tuple[Spent, ...] = Field(default=(), description="By model alias and stage.")
    tokens_per_s: float = Field(default=0, description="Tokens written by models, over the last minute.")
    calls_under_way: dict[str, int] = Field(default_factory=dict, description="Live leases, by service.")
    circuits: dict[str, str] = Field(default_factory=dict, description="Why each open circuit is open, by group.")
    dead_letters: dict[str, int] = Field(default_factory=dict, description="Dead letters, by topic.")
    duplicates: int = Field(default=0, description="Submissions dropped because their question had come before.")
    budget: Budget | None = Field(default=None, description="None: no budget is set.")

    @property
    def usd(self) -> float:
        """All that is spent."""
        return sum(part.usd for part in self.spent)
