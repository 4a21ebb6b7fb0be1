-- Verdicts by model and temperature: which of the plan's writers are right how often.
--
-- One row a model and temperature, over the plan's own paths (rewritten ones were told the answer).
-- right: of those that could be judged, the share found correct. mean_score: of the correct ones, 0 to 5.
-- Why the others are in error: judge (its reasoning), stated (it ends with another answer than gold), cut_off (its
-- reply was too long), empty. unknown: its call failed, or nobody could judge; many of these are trouble with a
-- server or a judge, and say nothing of the model. A share of few paths says little: see `paths`.
SELECT
    coalesce(models.name, paths.alias) AS model,
    temperature,
    count(*) AS paths,
    round(count(*) FILTER (standing = 'correct') / nullif(count(*) FILTER (standing <> 'unknown'), 0), 3) AS "right",
    round(avg(score), 2) AS mean_score,
    count(*) FILTER (standing = 'correct') AS correct,
    count(*) FILTER (standing = 'error' AND verdict_by = 'judge') AS judge,
    count(*) FILTER (standing = 'error' AND verdict_by = 'stated_answer') AS stated,
    count(*) FILTER (standing = 'error' AND verdict_by = 'cut_off') AS cut_off,
    count(*) FILTER (standing = 'error' AND verdict_by = 'empty') AS empty,
    count(*) FILTER (standing = 'unknown') AS unknown
FROM paths
LEFT JOIN models USING (recipe_id, alias)
WHERE origin = 'generated'
GROUP BY ALL
ORDER BY model, temperature
