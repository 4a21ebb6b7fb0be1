"""Every metric name, in one place. Counters get Prometheus' _total. Their help is where they are collected."""

from enum import StrEnum


class MetricName(StrEnum):
    """The names that dashboards and alarms may ask for."""

    # Every service: runtime/engine/metrics.py
    BUILD_INFO = "reasonmed_build_info"

    # Every worker: runtime/engine/metrics.py
    MESSAGES_TAKEN = "reasonmed_messages_taken"
    MESSAGES_FINISHED = "reasonmed_messages_finished"
    MESSAGES_DEAD = "reasonmed_messages_dead"
    MESSAGES_SKIPPED = "reasonmed_messages_skipped"
    OFFSETS_ABSENT = "reasonmed_offsets_absent"
    HANDLER_RETRIES = "reasonmed_handler_retries"
    DEPENDENCY_WAITS = "reasonmed_dependency_waits"
    COMMITS = "reasonmed_commits"
    COMMITS_FAILED = "reasonmed_commits_failed"
    REBALANCES = "reasonmed_rebalances"
    MESSAGE_BEGUN_WRITTEN_TIMESTAMP_SECONDS = "reasonmed_message_begun_written_timestamp_seconds"
    MESSAGES_UNDER_WAY = "reasonmed_messages_under_way"
    WINDOW_OFFSETS = "reasonmed_window_offsets"
    LAG_OFFSETS = "reasonmed_lag_offsets"
    HELD = "reasonmed_held"
    CIRCUIT_OPEN = "reasonmed_circuit_open"
    DRAINING = "reasonmed_draining"
    LIVE = "reasonmed_live"
    READY = "reasonmed_ready"

    # Workers that ask models: worker/metrics.py
    MODEL_REQUESTS = "reasonmed_model_requests"
    MODEL_RESPONSES = "reasonmed_model_responses"
    MODEL_CALLS = "reasonmed_model_calls"
    MODEL_TOKENS = "reasonmed_model_tokens"
    MODEL_REQUESTS_UNDER_WAY = "reasonmed_model_requests_under_way"
    MODEL_LIMIT = "reasonmed_model_limit"
    MODEL_DOWN_SECONDS = "reasonmed_model_down_seconds"
    MODEL_CALLS_REMEMBERED = "reasonmed_model_calls_remembered"
    MODEL_LEASES_LOST = "reasonmed_model_leases_lost"
    MODEL_PROBES = "reasonmed_model_probes"
    MODEL_REPLIES_WITHOUT_USAGE = "reasonmed_model_replies_without_usage"
    MODEL_PROMPTS_CUT = "reasonmed_model_prompts_cut"
    MODEL_CALL_SECONDS = "reasonmed_model_call_seconds"
    MODEL_REPLIES_LOST = "reasonmed_model_replies_lost"

    # Router: router/metrics.py
    QUESTIONS_REFUSED = "reasonmed_questions_refused"
    QUESTIONS_FLAGGED = "reasonmed_questions_flagged"

    # Gateway: gateway/http/metrics.py
    GATEWAY_QUESTIONS_ACCEPTED = "reasonmed_gateway_questions_accepted"
    GATEWAY_QUESTIONS_REFUSED = "reasonmed_gateway_questions_refused"
    GATEWAY_BATCHED_QUESTIONS = "reasonmed_gateway_batched_questions"
    GATEWAY_READS_REFUSED = "reasonmed_gateway_reads_refused"
    GATEWAY_LISTENERS = "reasonmed_gateway_listeners"
    GATEWAY_PUBLISH_SECONDS = "reasonmed_gateway_publish_seconds"

    # Exporter: exporter/metrics.py
    EXPORTER_ROWS = "reasonmed_exporter_rows"
    EXPORTER_PARTS = "reasonmed_exporter_parts"
    EXPORTER_DROPPED = "reasonmed_exporter_dropped"
    EXPORTER_KAFKA_AWAY = "reasonmed_exporter_kafka_away"
    EXPORTER_PARTITIONS = "reasonmed_exporter_partitions"
    EXPORTER_OPEN_BYTES = "reasonmed_exporter_open_bytes"
    EXPORTER_DISK_FREE_BYTES = "reasonmed_exporter_disk_free_bytes"
    EXPORTER_LAG_OFFSETS = "reasonmed_exporter_lag_offsets"

    # Monitor: monitor/metrics.py
    MONITOR_UNREADABLE = "reasonmed_monitor_unreadable"
    STREAM_FIGURES_TIMESTAMP_SECONDS = "reasonmed_stream_figures_timestamp_seconds"
    STREAM_BEHIND_SECONDS = "reasonmed_stream_behind_seconds"
    STREAM_CASES_OPEN = "reasonmed_stream_cases_open"
    STREAM_CASES_ENDED = "reasonmed_stream_cases_ended"
    STREAM_CASE_SECONDS = "reasonmed_stream_case_seconds"
    STREAM_CASES_ROUTED = "reasonmed_stream_cases_routed"
    STREAM_OLDEST_SECONDS = "reasonmed_stream_oldest_seconds"
    STREAM_GROUP_LAG_OFFSETS = "reasonmed_stream_group_lag_offsets"
    STREAM_GROUP_LEFT = "reasonmed_stream_group_left"
    STREAM_CALLS_WANTED = "reasonmed_stream_calls_wanted"
    STREAM_CALLS_AHEAD = "reasonmed_stream_calls_ahead"
    STREAM_MESSAGES = "reasonmed_stream_messages"
    STREAM_QUESTIONS_REFUSED = "reasonmed_stream_questions_refused"
    STREAM_QUESTIONS_DUPLICATE = "reasonmed_stream_questions_duplicate"
    STREAM_DEAD_LETTERS = "reasonmed_stream_dead_letters"
    STREAM_RECORDS = "reasonmed_stream_records"
    STREAM_RECORDS_USD = "reasonmed_stream_records_usd"
    STREAM_SPENT_USD = "reasonmed_stream_spent_usd"
    STREAM_PAID_CALLS = "reasonmed_stream_paid_calls"
    STREAM_PAID_TOKENS = "reasonmed_stream_paid_tokens"
    STREAM_SPARED_CALLS = "reasonmed_stream_spared_calls"
    STREAM_SPARED_USD = "reasonmed_stream_spared_usd"
    STREAM_JUDGED_PATHS = "reasonmed_stream_judged_paths"
    STREAM_CALLS_UNDER_WAY = "reasonmed_stream_calls_under_way"
    STREAM_BUDGET_USD = "reasonmed_stream_budget_usd"
    STREAM_BUDGET_RESERVED_USD = "reasonmed_stream_budget_reserved_usd"
    STREAM_BUDGET_STOPPED = "reasonmed_stream_budget_stopped"
