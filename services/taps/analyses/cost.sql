-- Cost by difficulty: what an ended case and a record cost, and for what.
--
-- One row a difficulty and one for all. Every paid call of every ended case is in it, those of rejected cases too:
-- they are the dearest, and no record carries them. A case under way has not cost all that it will: it is left out,
-- and so are dead ones. generate … summarize: USD by what it went for (judge: verify and score; refine: refine and
-- reason). usd is 0 where the recipe has no prices: see the tokens then. records: paths kept.
WITH ended AS (
    SELECT
        work_id,
        difficulty,
        (SELECT count(*) FROM paths WHERE kept AND paths.work_id = cases.work_id) AS records
    FROM cases
    WHERE ended IS NOT NULL
), works AS (
    SELECT
        any_value(difficulty) AS difficulty,
        any_value(records) AS records,
        count(call_id) AS calls,
        sum(prompt) AS prompt,
        sum(completion) AS completion,
        coalesce(sum(cost_usd), 0) AS usd,
        coalesce(sum(cost_usd) FILTER (stage = 'generate'), 0) AS generate,
        coalesce(sum(cost_usd) FILTER (stage IN ('verify', 'score')), 0) AS judge,
        coalesce(sum(cost_usd) FILTER (stage IN ('refine', 'reason')), 0) AS refine,
        coalesce(sum(cost_usd) FILTER (stage = 'summarize'), 0) AS "summarize"
    FROM ended
    LEFT JOIN calls USING (work_id)
    GROUP BY work_id
)
SELECT
    coalesce(difficulty, 'all') AS difficulty,
    count(*) AS cases,
    sum(records)::BIGINT AS records,
    round(sum(calls) / count(*), 1) AS calls_per_case,
    coalesce(sum(prompt), 0)::BIGINT AS prompt_tokens,
    coalesce(sum(completion), 0)::BIGINT AS completion_tokens,
    round(sum(usd), 6) AS usd,
    round(sum(usd) / count(*), 6) AS usd_per_case,
    round(sum(usd) / nullif(sum(records), 0), 6) AS usd_per_record,
    round(sum(generate), 6) AS generate,
    round(sum(judge), 6) AS judge,
    round(sum(refine), 6) AS refine,
    round(sum("summarize"), 6) AS "summarize"
FROM works
GROUP BY GROUPING SETS ((works.difficulty), ())
ORDER BY
    grouping(works.difficulty),
    list_position(['easy', 'medium', 'difficult'], works.difficulty)
