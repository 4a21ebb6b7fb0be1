"""The live figures of the whole stream: written by the monitor, shown by status, gateway, metrics and dashboard."""

from pydantic import BaseModel, ConfigDict, Field


class Figure(BaseModel):
    """A part of the figures. Readers ignore unknown fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TopicFigures(Figure):
    """One topic of the stream."""

    topic: str
    open: int = Field(description="Open cases at this topic: its consumer has them or will read them.")
    ended: int = Field(default=0, description="Cases that ended here.")
    oldest_s: float | None = Field(default=None, description="Seconds that the oldest open case has been here.")
    seen: int = Field(description="All messages, without repeats.")
    per_minute: int = Field(description="Of these, those written in the last 60 seconds.")
    lag: dict[str, int] = Field(
        default_factory=dict, description="Messages not committed, by consumer group, including those in flight."
    )


class Ends(Figure):
    """Ended cases by outcome."""

    accepted: int = 0
    rejected: int = 0
    dead: int = 0
    refused: int = 0


class RecordCost(Figure):
    """Records of one difficulty, whose chain of thought one model wrote."""

    difficulty: str
    alias: str
    records: int
    usd: float = Field(description="Their full cost, including the share of discarded paths.")
    tokens_in: int
    tokens_out: int


class CaseSeconds(Figure):
    """How long the ended cases of one difficulty took, from the question to the end."""

    difficulty: str = Field(description="Empty for cases that ended before they were rated.")
    count: int
    seconds: float = Field(description="Their sum.")
    buckets: dict[str, int] = Field(description="By upper bound in seconds, each without the ones below; +Inf: more.")


class Spent(Figure):
    """The cost of finished calls of one model and stage; each paid call counts once, including failed ones."""

    alias: str
    stage: str
    calls: int
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    usd: float


class Spared(Figure):
    """Calls that were not paid for."""

    by: str = Field(
        description="sampling: paths that could no longer decide. judging: verdicts and scores that could not matter. "
        "remembered: replies that the ledger already had."
    )
    stage: str
    calls: int
    usd: float = Field(description="By the mean tokens of such calls; of remembered ones, what they had cost.")


class Agreement(Figure):
    """How often judge and stated answer agree, on the paths of one model in ended cases."""

    alias: str
    gold: int = Field(description="Judged paths that state the gold answer.")
    gold_in_error: int = Field(description="Of these, those that the judge found in error.")
    other: int = Field(description="Judged paths that state another answer.")
    other_correct: int = Field(description="Of these, those that the judge found correct.")


class Budget(Figure):
    """The budget at which admission stops."""

    usd: float
    reserved_usd: float = Field(description="The expected remaining cost of open cases.")
    stopped: bool = Field(description="Questions wait: spent and reserved amounts have reached the budget.")


class GroupScale(Figure):
    """What a consumer group has to do: the input for its number of pods."""

    left: int = Field(description="Messages not finished, including those in flight.")
    lag: int = Field(description="Messages not committed: more than what is left while one takes long.")


class ModelScale(Figure):
    """What is asked of a model: the input for its number of servers."""

    wanted: int = Field(description="Calls that the messages left for its stages make, by the current recipe.")
    ahead: int = Field(description="Calls that open cases are expected to make at later stages, by the routes so far.")


class Scale(Figure):
    """The signals for autoscaling: the monitor's /scale."""

    at: float = Field(description="When Kafka was asked, in Unix time.")
    groups: dict[str, GroupScale]
    models: dict[str, ModelScale] = Field(description="By the current recipe's aliases; empty while none is known.")


class Problem(Figure):
    """Something that needs an operator."""

    kind: str = Field(
        description="model_away, model_slow, service_down, restarting, stalled, stuck, budget, circuit, disk or "
        "dependency; a newer monitor may know more."
    )
    what: str = Field(description="The alias, service, topic or dependency.")
    why: str = Field(description="One sentence.")
    remedy: str = Field(description="What to do.")


class Figures(Figure):
    """All figures at one time. `at` is Unix time in seconds, by the monitor's clock."""

    at: float
    behind_s: float = Field(description="Age in seconds of the monitor's last message when it was read.")
    topics: tuple[TopicFigures, ...] = Field(description="In the order of the stream.")
    open: int = Field(description="Cases that have not ended.")
    ends: Ends
    routes: dict[str, int] = Field(description="Cases by difficulty: easy, medium, difficult.")
    refused: dict[str, int] = Field(default_factory=dict, description="Refused questions by reason.")
    records: tuple[RecordCost, ...]
    case_seconds: tuple[CaseSeconds, ...] = Field(default=(), description="By difficulty.")
    spent: tuple[Spent, ...] = Field(default=(), description="By model alias and stage.")
    spared: tuple[Spared, ...] = Field(default=(), description="Calls that were not paid for, by reason and stage.")
    agreement: tuple[Agreement, ...] = Field(default=(), description="Judge and stated answer, by model.")
    tokens_per_s: float = Field(default=0, description="Tokens written by models, over the last minute.")
    calls_under_way: dict[str, int] = Field(default_factory=dict, description="Live leases, by service.")
    circuits: dict[str, str] = Field(default_factory=dict, description="The reason of each open circuit, by group.")
    dead_letters: dict[str, int] = Field(default_factory=dict, description="Dead letters, by topic.")
    duplicates: int = Field(default=0, description="Submissions of a question that was submitted before.")
    budget: Budget | None = Field(default=None, description="None: no budget is set.")
    scale: Scale | None = Field(default=None, description="None: Kafka has not been asked yet.")
    problems: tuple[Problem, ...] = Field(default=(), description="What needs an operator, the most urgent first.")

    @property
    def usd(self) -> float:
        """The total amount spent."""
        return sum(part.usd for part in self.spent)
