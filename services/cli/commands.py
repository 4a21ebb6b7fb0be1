"""The table of commands, in the order of `reasonmed --help`."""

from services.cli.lazy import Entry

RUN, SUBMIT, WATCH, DATA, REPAIR = "Run", "Submit", "Watch", "Data", "Repair"

COMMANDS = (
    Entry("up", "services.cli.run.up:up", RUN, "Start the whole stream on this machine."),
    Entry("demo", "services.cli.run.demo:demo", RUN, "Run the whole stream on sample questions."),
    Entry("replay", "services.cli.run.replay:replay", RUN, "Run real questions against recorded answers."),
    Entry("topics", "services.cli.run.topics:app", RUN, "Declare the topics, and compare them with the cluster."),
    Entry("recipes", "services.cli.run.recipes:app", RUN, "Publish and show recipes: prompts, models, thresholds."),
    Entry("plan", "services.cli.run.plan:plan", RUN, "Plan a deployment: GPUs, pods, bytes, cost and time."),
    Entry("reply", "services.cli.run.reply:reply", RUN, "Show what the system reads from a model's reply."),
    Entry("submit", "services.cli.ingest.submit:submit", SUBMIT, "Submit questions from files, folders or a topic."),
    Entry("index", "services.cli.ingest.index:index", SUBMIT, "Index evaluation sets, so that they stay out."),
    Entry("status", "services.cli.watch.status:status", WATCH, "Show the live figures of the stream."),
    Entry("show", "services.cli.watch.show:show", WATCH, "Show one case: its steps, paths and verdicts."),
    Entry("call", "services.cli.watch.call:call", WATCH, "Show one model call: its case, prompt and reply."),
    Entry("tap", "services.cli.watch.tap:tap", WATCH, "Print a topic's messages as JSON lines."),
    Entry("account", "services.cli.watch.account:account", WATCH, "Audit a running stack; print JSON."),
    Entry("budget", "services.cli.watch.budget:app", WATCH, "Show the cost of model calls, and limit it."),
    Entry("export", "services.cli.data.export:export", DATA, "Write records as a dataset for trainers."),
    Entry("dataset", "services.cli.data.maintain:app", DATA, "Compact the dataset's table; import an older dataset."),
    Entry("sql", "services.cli.data.sql:sql", DATA, "Run SQL over records and topics."),
    Entry("analyse", "services.cli.data.analyse:analyse", DATA, "Run a ready-made analysis of the topics."),
    Entry("evaluate", "services.cli.data.evaluate:evaluate", DATA, "Have a model rate a sample of the records."),
    Entry("train", "services.cli.data.train:train", DATA, "Train a model on a snapshot of the records."),
    Entry("benchmark", "services.cli.data.benchmark:benchmark", DATA, "Measure a model on questions with answers."),
    Entry("dead", "services.cli.repair.dead:app", REPAIR, "List, show and redrive dead letters."),
    Entry("circuit", "services.cli.repair.circuit:app", REPAIR, "List and close circuit breakers."),
    Entry("ledger", "services.cli.repair.ledger:app", REPAIR, "Prune the call ledger."),
)
