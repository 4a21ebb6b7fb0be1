-- Agreement of judge and stated answer: how far the judge can be trusted.
--
-- One row a model that wrote, and one for all; over paths that the judge was asked about and that state an answer.
-- both_correct, both_error: the two agree. lenient: the judge calls correct what ends with another answer than gold;
-- these are plain mistakes of the judge (and overruled: such a path is in error). strict: the judge refuses a path
-- that ends with gold; it may be right to, for its reasoning. agreement: the share of the first two. kappa: Cohen's,
-- the agreement beyond what chance would give; 1 is perfect, 0 is chance, null where one of the two always says the
-- same. no_answer: judged paths that state none, so that only the judge stands between them and the dataset.
WITH judged AS (
    SELECT
        coalesce(models.name, paths.alias) AS model,
        judged = 'correct' AS judge,
        stated = gold AS stated
    FROM paths
    LEFT JOIN models USING (recipe_id, alias)
    WHERE judged IS NOT NULL
), counted AS (
    SELECT
        coalesce(judged.model, 'all') AS model,
        grouping(judged.model) AS is_all,
        count(stated) AS paths,
        count(*) FILTER (judge AND stated) AS both_correct,
        count(*) FILTER (NOT judge AND NOT stated) AS both_error,
        count(*) FILTER (judge AND NOT stated) AS lenient,
        count(*) FILTER (NOT judge AND stated) AS strict,
        count(*) FILTER (stated IS NULL) AS no_answer,
        avg(judge::INT) FILTER (stated IS NOT NULL) AS judge_correct,
        avg(stated::INT) AS stated_gold
    FROM judged
    GROUP BY GROUPING SETS ((judged.model), ())
), shares AS (
    SELECT
        *,
        (both_correct + both_error) / nullif(paths, 0) AS observed,
        judge_correct * stated_gold + (1 - judge_correct) * (1 - stated_gold) AS chance
    FROM counted
)
SELECT
    model,
    paths,
    both_correct,
    both_error,
    lenient,
    strict,
    round(observed, 3) AS agreement,
    CASE WHEN judge_correct IN (0, 1) OR stated_gold IN (0, 1) THEN NULL
         ELSE round((observed - chance) / (1 - chance), 3) END AS kappa,
    no_answer
FROM shares
ORDER BY is_all, model
